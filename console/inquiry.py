"""One question of an operator, from being asked to its answer: whoever looks sees it grow, and nobody has to look.

It is answered in a task of its own. Who follows it and leaves stops nothing: the model is paid for, so what it says is
remembered and counted all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

import anyio

from config.errors import FleetError
from console.errors import ShuttingDown
from workers.chat.engine import LONGEST_ANSWER
from workers.logbook import current_bot
from workers.underway import Underway

if TYPE_CHECKING:
    from console.answers import Said, Saying, ToolRun
    from workers.clock import Clock

logger = logging.getLogger(__name__)

FRAME_S: Final = 0.1
"""What is new of an answer is told so often at most; a screen shows no more."""
TOOLS: Final = 100
LONGEST_ERROR: Final = 300


class Inquiry(Underway):
    """What an operator asked one bot. A listener of the model while it answers.

    done is set once there is an answer, or none is to come: `result` tells.
    """

    __slots__ = ("_error", "_length", "_pieces", "_restarts", "_said", "_task", "bot_id", "done")

    def __init__(self, bot_id: str, client_id: str, conversation_id: str, clock: Clock) -> None:
        super().__init__(client_id, conversation_id, clock)
        self.bot_id = bot_id
        self.done = anyio.Event()
        self._pieces: list[str] = []
        self._length = 0
        self._restarts = 0
        self._said: Said | None = None
        self._error: FleetError | None = None
        self._task: asyncio.Task[Said] | None = None

    @property
    def characters(self) -> int:
        """As Underway.characters."""
        return self._length

    # --- the model's side --------------------------------------------------------------------------------------

    def piece(self, text: str) -> None:
        """Take what the model said next; what is longer than an answer may be is left out."""
        if self._length < LONGEST_ANSWER:
            self._pieces.append(text)
            self._length += len(text)

    def restart(self) -> None:
        """Forget all pieces so far."""
        self._pieces.clear()
        self._length = 0
        self._restarts += 1

    # --- its task ----------------------------------------------------------------------------------------------

    def begin(self, answer: Callable[[], Coroutine[Any, Any, Said]], ended: Callable[[Inquiry], None]) -> None:
        """Have it answered, from now on and whoever waits; ended is called with the end."""

        async def run() -> Said:
            current_bot.set(self.bot_id)
            return await answer()

        self._task = asyncio.get_running_loop().create_task(run(), name=f"{self.bot_id}/operator")
        self._task.add_done_callback(self._end)
        self._task.add_done_callback(lambda _: ended(self))

    def cancel(self) -> None:
        """Give it up."""
        if self._task is not None:
            self._task.cancel()

    def _end(self, task: asyncio.Task[Said]) -> None:
        if task.cancelled():
            self._error = ShuttingDown("the bot has ended before there was an answer", "ask again when it runs")
        elif (error := task.exception()) is None:
            self._said = task.result()
        elif isinstance(error, FleetError):
            self._error = error
        else:
            logger.error("a question of an operator failed", exc_info=error, extra={"bot_id": self.bot_id})
            self._error = FleetError(f"{type(error).__name__} in the fleet", "its log says more")
        self.done.set()

    async def result(self) -> Said:
        """Return the answer once it is there. Raises FleetErrors; cancelling it stops nothing."""
        await self.done.wait()
        if self._error is not None:
            raise self._error
        assert self._said is not None, "done comes with one of the two"
        return self._said

    # --- who looks ---------------------------------------------------------------------------------------------

    async def follow(self) -> AsyncIterator[Saying]:
        """Yield what there is and then what is new, FRAME_S apart at least; the whole answer last, and at once.

        Nothing is kept for a reader: one that is slow finds all that is new in the next. Raises as `result`.
        """
        restarts, pieces, keep = self._restarts, 0, 0
        known: list[ToolRun] = []
        while not self.done.is_set():
            with self.clock.deadline(FRAME_S):
                await self.done.wait()
            anew, tools = restarts != self._restarts, tool_runs(self)
            if anew:
                restarts, pieces, keep = self._restarts, 0, 0
            if anew or len(self._pieces) != pieces or _told(tools) != _told(known):
                more, pieces, known = "".join(self._pieces[pieces:]), len(self._pieces), tools
                yield {"keep": keep, "more": more, "tools": tools, "age_s": self.age_s, "said": None}
                keep += len(more)
        said = await self.result()
        yield {"keep": keep, "more": "", "tools": tool_runs(self), "age_s": said["latency_s"], "said": said}


def tool_runs(turn: Underway) -> list[ToolRun]:
    """Return the last tools called for a turn, in the order they began."""
    now = turn.clock.monotonic()
    return [
        {
            "tool": call.tool,
            "running": call.ended is None,
            "took_s": (now if call.ended is None else call.ended) - call.began,
            "error": call.error[:LONGEST_ERROR],
        }
        for call in turn.calls[-TOOLS:]
    ]


def _told(tools: list[ToolRun]) -> list[tuple[str, bool]]:
    """Return what is new about tools when it changes; that time passes is not."""
    return [(run["tool"], run["running"]) for run in tools]
