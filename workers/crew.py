"""The tasks of one run of a bot: started, ended together, and let go of when one of them will not end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup

KNOCK_S: Final = 1.0


class Starter(Protocol):
    """Who starts tasks: a crew, or a task group of anyio."""

    def start_soon(self, func: Callable[..., Awaitable[Any]], *args: Any, name: object = None) -> Any:
        """Start a task."""
        ...


class Crew:
    """Starts the tasks of a group, each in a scope of its own, so that the cancellation of the group can be kept from it.

    anyio delivers a cancellation to a task at every turn of the loop until the task has ended. One that swallows it would
    so keep a core busy for ever: after `let_go` it is delivered every KNOCK_S only, for what may heed it one day.
    """

    __slots__ = ("_group", "_scopes")

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._scopes: set[anyio.CancelScope] = set()

    def start_soon(self, func: Callable[..., Awaitable[Any]], *args: Any, name: object = None) -> None:
        """Start a task of the group."""
        self._group.start_soon(self._run, func, args, name=name)

    async def _run(self, func: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        with self.scope():
            await func(*args)

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Be one of the crew for the length of the block, in a task that is there already."""
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        try:
            with scope:
                yield
        finally:
            self._scopes.discard(scope)

    def let_go(self) -> None:
        """Deliver the cancellation to whoever is still there now and then, no more."""
        if self._scopes:
            self._shield(True)
            asyncio.get_running_loop().call_later(KNOCK_S, self._knock)

    def _knock(self) -> None:
        self._shield(False)
        asyncio.get_running_loop().call_soon(self.let_go)

    def _shield(self, shield: bool) -> None:
        for scope in self._scopes:
            scope.shield = shield
