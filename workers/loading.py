"""Where a manager gets configurations from: anything that gives a mapping for a bot's id."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import anyio

from workers.errors import LoaderUnusable

AT_ONCE: Final = 64
"""Loaders that are no coroutines run in threads, so many at once; one that takes its time holds up no other until all are
taken."""


class HasLoad(Protocol):
    """An object that loads; `load` may be a coroutine function."""

    def load(self, bot_id: str, /) -> Any:
        """Return the configuration of a bot."""
        ...


ConfigLoader = Callable[[str], Any] | HasLoad
"""A function, a coroutine function, a callable object, or an object with `load`."""


class Loading:
    """Asks a loader. Raises TypeError for what cannot be one."""

    __slots__ = ("_awaited", "_function", "_places", "name")

    def __init__(self, loader: ConfigLoader) -> None:
        load = getattr(loader, "load", None)
        function = load if callable(load) else loader
        if not callable(function):
            raise TypeError(f"a loader is a function of a bot's id, or has a method load, unlike {loader!r}")
        self.name = _name(loader)
        self._function: Callable[[str], Any] = function
        self._awaited = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 (whether it is a coroutine function, not whether it is there)
        )
        self._places = anyio.CapacityLimiter(AT_ONCE)

    async def load(self, bot_id: str) -> Mapping[str, Any]:
        """Return what the loader gives for a bot. Raises what it raises, LoaderUnusable when it gives no mapping.

        Cancelled, a function is left to its thread.
        """
        if self._awaited:
            found = await self._function(bot_id)
        else:
            found = await anyio.to_thread.run_sync(self._function, bot_id, abandon_on_cancel=True, limiter=self._places)
            if inspect.isawaitable(found):
                found = await _awaiting(found)
        if not isinstance(found, Mapping):
            raise LoaderUnusable(
                f"the loader {self.name} gave {type(found).__name__} for {bot_id}, not a mapping",
                "return the bot's configuration, or raise an error for an id that is none",
            )
        return found


async def _awaiting(found: Awaitable[Any]) -> Any:
    return await found


def _name(loader: object) -> str:
    module, name = getattr(loader, "__module__", ""), getattr(loader, "__qualname__", "")
    if not name:
        module, name = type(loader).__module__, type(loader).__qualname__
    return f"{module}.{name}" if module else str(name)
