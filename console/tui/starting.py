"""The control of a fleet that is not there yet: nothing can be asked of it."""

from __future__ import annotations

from typing import Any

from console.errors import NoFleet


class Starting:
    """Stands in for a Control while the fleet starts; whatever is asked raises NoFleet."""

    def __getattr__(self, name: str) -> Any:
        raise NoFleet("the fleet is starting", "wait a moment")
