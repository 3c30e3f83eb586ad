"""One call of a tool: within its limits, measured, and told to whoever listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from store.events import ToolCalled
from workers.errors import ToolFailed
from workers.failure import text_of

if TYPE_CHECKING:
    from workers.bus import Bus
    from workers.clock import Clock
    from workers.metrics import Metrics
    from workers.tools.base import Tool, ToolContext

logger = logging.getLogger(__name__)

FLEET_AT_ONCE: Final = 256
BOT_AT_ONCE: Final = 64
"""Calls under way of the whole fleet, and of one bot: one with slow tools leaves most of the places to the others."""

LONGEST_ERROR: Final = 300
"""Characters of an error in an event."""

LONGEST_SECRET: Final = 4096
"""A long result is cut before its secrets are taken out; a secret so long at the cut is taken off whole."""


NOTHING: Final = "(nothing)"
"""What the model is told of an empty result: some providers take no empty message."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the model is told of a call; error is "" when the tool gave a result."""

    text: str
    error: str = ""


class Calls:
    """Makes the calls of a fleet. clean takes secrets out of what a tool says."""

    def __init__(self, clock: Clock, bus: Bus, metrics: Metrics, clean: Callable[[str], str]) -> None:
        self._clock = clock
        self._bus = bus
        self._metrics = metrics
        self._clean = clean
        self._places = asyncio.Semaphore(FLEET_AT_ONCE)
        self._bots: dict[str, asyncio.Semaphore] = {}

    async def make(self, name: str, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> Outcome:
        """Call a tool, known to the model as name. Never raises but for cancellation, which is safe: what fails is told to the model."""
        began = self._clock.monotonic()
        end = context.hears.calling(name) if context.hears is not None else None
        outcome = await self._bounded(tool, arguments, context)
        if end is not None:
            end(outcome.error)
        self.tell(name, context, self._clock.monotonic() - began, outcome.error)
        return outcome

    def refuse(self, name: str, context: ToolContext, why: str) -> Outcome:
        """Return the outcome of a call that is not made, and tell of it."""
        outcome = self._failed(why)
        self.tell(name, context, 0.0, outcome.error)
        return outcome

    def tell(self, name: str, context: ToolContext, duration_s: float, error: str) -> None:
        """Count a call, publish that it was made."""
        bot_id = context.spec.bot_id
        self._metrics.observe(bot_id, "tool_s", duration_s)
        if error:
            self._metrics.count(bot_id, "tool_errors")
        self._bus.publish(
            ToolCalled(
                bot_id=bot_id,
                at=self._clock.now(),
                update_id=context.update_id,
                tool=_writable(self._clean(name[:LONGEST_ERROR])[:64]),
                duration_s=round(duration_s, 4),
                error=error if len(error) <= LONGEST_ERROR else f"{error[: LONGEST_ERROR - 1]}…",
            )
        )

    async def _bounded(self, tool: Tool, arguments: dict[str, Any], context: ToolContext) -> Outcome:
        """Call a tool in the time it has, waiting for a place included."""
        limits = context.spec.config.limits
        timeout_s = limits.tool_timeout_s if tool.timeout_s is None else tool.timeout_s
        outcome: Outcome | None = None
        with self._clock.deadline(timeout_s):
            try:
                async with self._place(context.spec.bot_id):
                    text = await tool.run(arguments, context)
                outcome = Outcome(self._fit(text, limits.tool_output_chars) or NOTHING)
            except ToolFailed as error:
                outcome = self._failed(error.message)
            except Exception as error:
                logger.exception("the tool %s failed", tool.spec.name)
                outcome = self._failed(text_of(error, self._clean))
        return outcome or self._failed(f"it took longer than {timeout_s:g} s and was given up")

    @asynccontextmanager
    async def _place(self, bot_id: str) -> AsyncIterator[None]:
        own = self._bots.get(bot_id)
        if own is None:
            own = self._bots[bot_id] = asyncio.Semaphore(BOT_AT_ONCE)
        async with own, self._places:
            yield

    def _failed(self, why: str) -> Outcome:
        said = self._fit(why, 2000)
        return Outcome(f"Error: {said}", said)

    def _fit(self, text: str, limit: int) -> str:
        """Return a text without secrets, at most limit characters long."""
        text = _writable(text)
        room = limit + LONGEST_SECRET
        clean = self._clean(text) if len(text) <= room else self._clean(text[:room])[:-LONGEST_SECRET]
        if len(clean) <= limit and len(text) <= room:
            return clean
        note = f"… (cut: the whole has {len(text)} characters)"
        return f"{clean[: max(0, limit - len(note))]}{note}"[:limit]


def _writable(text: str) -> str:
    """Return a text that can be sent and stored: half a surrogate pair cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
