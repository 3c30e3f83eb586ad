"""How the failure of a fleet is told."""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Final, Self

from config.errors import FleetError

logger = logging.getLogger(__name__)


class Told:
    """A block whose unexpected failure is logged with its trace on its way out, and marked as told."""

    NOTE: Final = "told in the fleet's log"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        found = first_error(error)
        if isinstance(found, Exception) and not isinstance(found, FleetError):
            logger.critical("the fleet failed", exc_info=found)
            found.add_note(self.NOTE)


def first_error(error: BaseException | None) -> BaseException | None:
    """Return the error a group of errors began with."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
