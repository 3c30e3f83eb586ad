"""What a crash was: its text for people, its fingerprint for counting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple

from config.errors import FleetError
from store.errors import StoreError
from workers.errors import BotInvalid, TokenRejected

ROOT: Final = Path(__file__).resolve().parents[1]
OWN: Final = tuple(f"{ROOT / package}/" for package in ("config", "store", "workers", "console"))
TOOLS: Final = "botdeck_tools_"
"""How the names of modules begin that are made of a fleet's own files, tools/*.py."""

_TEXT_LIMIT: Final = 500


class Failure(NamedTuple):
    """Why a run ended that should not have. Failures with one fingerprint are taken for one and the same."""

    error: str
    fingerprint: str


def failure_of(error: BaseException, clean: Callable[[str], str] = str) -> Failure:
    """Describe a crash: type and innermost frame of our own code, `KeyError workers/turn.py:answer`.

    clean takes secrets out of what the error says.
    """
    place = own_place(error.__traceback__)
    kind = type(error).__name__
    return Failure(text_of(error, clean), f"{kind} {place}" if place else kind)


def text_of(error: BaseException, clean: Callable[[str], str] = str) -> str:
    """Return what an error says, cleaned, then cut to a length fit for a status line: half a secret is one too."""
    said = clean(str(error) if isinstance(error, FleetError) else f"{type(error).__name__}: {error}".rstrip(": "))
    return said if len(said) <= _TEXT_LIMIT else said[: _TEXT_LIMIT - 1] + "…"


def cause_in(error: BaseException) -> BaseException:
    """Return the error that counts of a group (a group of one kind has one cause): what makes the bot invalid before a
    crash, a crash before trouble of the database.
    """
    leaves = sorted(_leaves(error), key=_weight)
    return leaves[0]


def own_place(trace: TracebackType | None) -> str:
    """Return `file:function` of the innermost frame of our own code; "" when there is none."""
    found = ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if code.co_filename.startswith(OWN):
            found = f"{own_file(code.co_filename)}:{code.co_name}"
        trace = trace.tb_next
    return found


def own_file(path: str) -> str:
    """Return the path of a file as seen from the folder that holds our packages; another's with its last folder."""
    inside = path.removeprefix(f"{ROOT}/")
    if inside != path and "site-packages" not in inside:
        return inside
    return "/".join(Path(path).parts[-2:])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for each in error.exceptions for leaf in _leaves(each)]
    return [error]


def _weight(error: BaseException) -> int:
    if isinstance(error, BotInvalid | TokenRejected):
        return 0
    if isinstance(error, StoreError):
        return 2
    return 1 if isinstance(error, Exception) else 3
