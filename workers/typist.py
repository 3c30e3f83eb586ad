"""Who is being answered at this moment, and what they see meanwhile: "typing…", or the answer as it grows."""

from __future__ import annotations

import asyncio
from typing import Final

from workers.channels.base import Channel, Lane
from workers.clock import Clock
from workers.crew import Starter
from workers.preview import FRAMES_AT_ONCE, Preview
from workers.underway import Underway

TYPING_TICK_S: Final = 0.5
"""An answer that is there sooner needs no "typing…": it would cost a request and flicker."""

TYPING_EVERY_S: Final = 4.5
"""Telegram shows "typing" for 5 s."""


class _Turn(Underway):
    """One turn of a chat. `shown` is the monotonic moment of the last "typing…"."""

    __slots__ = ("lane", "preview", "shown")

    def __init__(self, client_id: str, lane: Lane, clock: Clock, preview: Preview | None) -> None:
        super().__init__(client_id, lane.conversation_id, clock)
        self.lane = lane
        self.preview = preview
        self.shown: float | None = None

    @property
    def characters(self) -> int:
        """As Underway.characters."""
        return self.preview.characters if self.preview is not None else 0

    def typing_due(self, now: float) -> bool:
        """Tell whether a chat has seen no sign of life for so long that it is to see "typing…"; a frame is one."""
        seen = self.shown
        if self.preview is not None and self.preview.left_at is not None:
            seen = max(self.preview.left_at, seen or 0.0)
        return now >= (self.began + TYPING_TICK_S if seen is None else seen + TYPING_EVERY_S)


class Typist:
    """Keeps the turns under way. One task per bot shows typing for all of them; it stays at hand until `rest`."""

    __slots__ = ("_bot_id", "_channel", "_clock", "_frames", "_group", "_parked", "_running", "_turns")

    def __init__(self, group: Starter, channel: Channel, clock: Clock, bot_id: str) -> None:
        self._group = group
        self._channel = channel
        self._clock = clock
        self._bot_id = bot_id
        self._turns: dict[int, _Turn] = {}
        self._frames = 0
        self._running = False
        self._parked: asyncio.Future[bool] | None = None

    def begin(self, update_id: int, lane: Lane, client_id: str, preview: Preview | None = None) -> Underway:
        """Note that a turn begins, and return it. Frames of the preview are shown as they are due."""
        turn = self._turns[update_id] = _Turn(client_id, lane, self._clock, preview)
        if self._parked is not None:
            self._unpark(go_on=True)
        elif not self._running:
            self._running = True
            self._group.start_soon(self._run, name=f"{self._bot_id}/typing")
        return turn

    def end(self, update_id: int) -> None:
        """Note that the model has answered, or will not."""
        del self._turns[update_id]

    def rest(self) -> None:
        """Let go of the task if it has nothing to do. To be called when nothing new has come for a while."""
        if self._parked is not None:
            self._unpark(go_on=False)

    def __len__(self) -> int:
        return len(self._turns)

    def underway(self) -> list[Underway]:
        """Return the turns under way, the oldest first."""
        return list(self._turns.values())

    def oldest_began(self) -> float | None:
        """Return the monotonic moment the oldest turn under way began."""
        return next(iter(self._turns.values())).began if self._turns else None

    async def _run(self) -> None:
        going = True
        while going:
            while self._turns:
                await self._clock.sleep(TYPING_TICK_S)
                self._show(self._clock.monotonic())
            self._parked = asyncio.get_running_loop().create_future()
            going = await self._parked

    def _unpark(self, *, go_on: bool) -> None:
        parked, self._parked = self._parked, None
        self._running = go_on
        if parked is not None and not parked.done():
            parked.set_result(go_on)

    def _show(self, now: float) -> None:
        for turn in self._turns.values():
            if turn.preview is not None:
                self._show_frame(turn.preview, now)
            if turn.typing_due(now):
                turn.shown = now
                self._channel.show_typing(turn.lane)

    def _show_frame(self, preview: Preview, now: float) -> None:
        if self._frames < FRAMES_AT_ONCE and preview.due(now):
            self._frames += 1
            preview.begin(now)
            self._group.start_soon(self._frame, preview, name=f"{self._bot_id}/frame")

    async def _frame(self, preview: Preview) -> None:
        try:
            await preview.show()
        finally:
            self._frames -= 1
