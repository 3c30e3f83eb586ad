"""Tools that are functions of the fleet's own files, `<fleet>/tools/*.py`."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import anyio
from pydantic_core import PydanticSerializationError, to_json

from workers.errors import ToolFailed
from workers.llm.base import ToolSpec
from workers.tools.base import Caller, Parts, Tool, ToolContext
from workers.tools.modules import FOLDER
from workers.tools.signatures import Signature, Unfit

if TYPE_CHECKING:
    from types import ModuleType

    from config.schema import ToolSection

logger = logging.getLogger(__name__)

LEAVE_S: Final = 1.0
"""How long an asynchronous tool that was given up may take to clean up, before it is left to itself."""

_SIGNATURES: Final = "__botdeck_signatures__"
"""Where a module keeps what was read of its functions: it goes when the module goes."""

_left: set[asyncio.Task[Any]] = set()
"""Tasks that did not heed their cancellation; kept so that they are not forgotten under way."""


def source(section: ToolSection, parts: Parts) -> PythonSource:
    """Return the source of one `[[tools]]` table of kind python."""
    return PythonSource(section, parts)


class PythonSource:
    """One function, built anew when its file was loaded anew."""

    def __init__(self, section: ToolSection, parts: Parts) -> None:
        self.name = section.name
        self._section = section
        self._parts = parts
        self._file, _, self._function = section.callable.partition(":")
        self._module: ModuleType | None = None
        self._tools: tuple[PythonTool, ...] = ()

    def current(self) -> bool:
        """Tell whether the file is as it was."""
        return self._module is not None and self._parts.modules.current(self._file) is self._module

    async def tools(self) -> Sequence[Tool]:
        """Return the function as its file has it now; what it was when the file is broken, nothing when it never was good."""
        module = await self._parts.modules.get(self._file)
        if module is None or module is self._module:
            return self._tools
        self._module = module
        try:
            function, signature = function_of(module, self._function)
            self._tools = (PythonTool(self._section, function, signature, self._parts),)
        except Unfit as error:
            kept = "; the last good one goes on" if self._tools else ""
            self._parts.modules.tell(f"{FOLDER}/{self._file}.py: {self._function} {error.message}{kept}")
        return self._tools


class PythonTool:
    """A function as a tool. A plain one runs in a thread, an asynchronous one on the loop, in a task of its own."""

    def __init__(self, section: ToolSection, function: Callable[..., Any], signature: Signature, parts: Parts) -> None:
        self._signature = signature
        self._function = function
        self._threads = parts.threads
        self._clock = parts.clock
        self.timeout_s = section.timeout_s
        self.spec = ToolSpec(section.name, section.description or self._signature.description, self._signature.schema)
        self._asynchronous = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 (an object with an asynchronous __call__)
        )

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> str:
        """Call the function. Raises ToolFailed, and whatever the function raises."""
        given = self._signature.read(arguments)
        for name in self._signature.callers:
            given[name] = Caller(
                context.spec.bot_id, context.client_id, context.conversation_id, context.user_id,
                context.session_metadata, context.request_metadata,
            )  # fmt: skip
        if self._asynchronous:
            return as_text(await self._on_loop(self._function(**given), context))
        result = await self._threads.run(context.spec.bot_id, lambda: _called(self._function, given))
        if inspect.isawaitable(result):
            return as_text(await self._on_loop(result, context))
        return str(result)

    async def _on_loop(self, awaitable: Awaitable[Any], context: ToolContext) -> Any:
        """Wait for the function in a task of its own: whatever it does to its task, the turn's is unharmed."""
        name = f"{context.spec.bot_id}/tool {self.spec.name}"
        task = asyncio.get_running_loop().create_task(_guarded(awaitable), name=name)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            await self._leave(task)
            raise
        if task.cancelled():
            raise ToolFailed("it was cancelled from within")
        error = task.exception()
        if error is not None and not isinstance(error, Exception):
            raise ToolFailed(f"it ended with {type(error).__name__}")
        return task.result()

    async def _leave(self, task: asyncio.Task[Any]) -> None:
        task.cancel()
        with anyio.CancelScope(shield=True), self._clock.deadline(LEAVE_S):
            await asyncio.wait([task])
        if task.done():
            return
        logger.warning("the tool %s does not heed its cancellation and is left to itself", self.spec.name)
        _left.add(task)
        task.add_done_callback(_forget)


def function_of(module: ModuleType, name: str) -> tuple[Callable[..., Any], Signature]:
    """Return a function of a module, and its signature, read once for all bots. Raises Unfit."""
    found = getattr(module, name, None)
    if found is None:
        raise Unfit("is not there: the file has no such function")
    if not callable(found) or inspect.isclass(found):
        raise Unfit("is no function")
    known: dict[str, Signature] = module.__dict__.setdefault(_SIGNATURES, {})
    if name not in known:
        known[name] = Signature(found)
    return found, known[name]


def as_text(value: Any) -> str:
    """Return what a function returned as text for a model: texts as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return "done"
    try:
        return to_json(value, fallback=str, inf_nan_mode="constants").decode()
    except (PydanticSerializationError, ValueError) as error:
        raise ToolFailed(f"its result cannot be written down: {error}") from None


def _called(function: Callable[..., Any], given: dict[str, Any]) -> Any:
    result = function(**given)
    return result if inspect.isawaitable(result) else as_text(result)


async def _guarded(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except (KeyboardInterrupt, SystemExit) as error:  # a task that ends with one of these ends the process
        raise ToolFailed(f"it ended with {type(error).__name__}") from None


def left_behind() -> bool:
    """Tell whether a tool that does not heed its cancellation still runs: such a process ends only by force."""
    return bool(_left)


def _forget(task: asyncio.Task[Any]) -> None:
    _left.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that nobody is told of it at the end
