"""Bots in somebody else's FastAPI application: one manager for the process, injected, and errors in our form.

`init_bot_manager` when the application starts, `BotManagerDep` as the type of an argument, `close_bot_manager` (or, where
nothing can be awaited, `reset_bot_manager`) when it ends; `register_exception_handlers` once.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI

from config.mapping import Resources
from console.web.errors import (
    APIError,
    BotCreationError,
    BotNotFoundError,
    ConfigurationError,
    ConversationNotFoundError,
    RateLimitError,
    TurnFailedError,
    ValidationError,
    install,
)
from workers.bot import BotContext
from workers.loading import ConfigLoader
from workers.manager import BotManager

__all__ = [
    "APIError",
    "BotContext",
    "BotCreationError",
    "BotManager",
    "BotManagerDep",
    "BotNotFoundError",
    "ConfigurationError",
    "ConversationNotFoundError",
    "RateLimitError",
    "TurnFailedError",
    "ValidationError",
    "close_bot_manager",
    "get_bot_manager",
    "init_bot_manager",
    "register_exception_handlers",
    "reset_bot_manager",
]


class _Place:
    """Where the one manager is, and those that are being closed: a task nobody holds may be forgotten half-way."""

    manager: BotManager | None = None
    closing: Final[set[asyncio.Task[None]]] = set()


def init_bot_manager(
    config_loader: ConfigLoader | None = None,
    environment: Resources | str | None = None,
    *,
    database: Path | str | None = None,
    **more: Any,
) -> BotManager:
    """Make the manager of this process and return it; arguments as `BotManager`'s.

    Raises RuntimeError while there is one: two would each think the database theirs.
    """
    if _Place.manager is not None:
        raise RuntimeError("there is a bot manager already: reset_bot_manager() comes first")
    _Place.manager = BotManager(config_loader, environment, database=database, **more)
    return _Place.manager


def get_bot_manager() -> BotManager:
    """Return the manager of this process. Raises RuntimeError before `init_bot_manager`."""
    if _Place.manager is None:
        raise RuntimeError("there is no bot manager yet: call init_bot_manager() when the application starts")
    return _Place.manager


async def _injected() -> BotManager:
    # A coroutine function, that FastAPI asks it here and not in a thread.
    return get_bot_manager()


BotManagerDep = Annotated[BotManager, Depends(_injected)]
"""The type of an argument that is to be the manager of this process."""


async def close_bot_manager() -> None:
    """Forget the manager; return when its bots have answered and its database is closed. Without one nothing is done."""
    manager, _Place.manager = _Place.manager, None
    if manager is not None:
        await manager.close()
    if _Place.closing:
        await asyncio.wait(_Place.closing)


def reset_bot_manager() -> None:
    """Forget the manager; what it has open is closed by the running event loop, before that ends.

    For hooks that are no coroutines, and tests; `await close_bot_manager()` is sure when it is done. Without a manager
    nothing is done, without a running loop there is nothing it could have opened.
    """
    manager, _Place.manager = _Place.manager, None
    if manager is None:
        return
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    task = loop.create_task(manager.close(), name="botdeck/reset")
    _Place.closing.add(task)
    task.add_done_callback(_Place.closing.discard)


def register_exception_handlers(app: FastAPI) -> None:
    """Give every error of an application our form: {"error", "message", "detail", "timestamp"}.

    Ours, what pydantic refuses (422 ValidationError), what FastAPI refuses (404 and the like) and what nobody foresaw (500,
    its text kept in the log).
    """
    install(app)
