"""Is the event loop free: its lag, and who blocks it, seen from outside while it is blocked."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Final, NamedTuple

import anyio

from config.vocabulary import FLEET, is_bot_id
from store.events import LoopStalled
from workers.bus import Bus
from workers.clock import Clock, process_monotonic
from workers.failure import OWN, TOOLS, own_file

logger = logging.getLogger(__name__)

BEAT_S: Final = 0.1
STALL_S: Final = 0.25
"""A loop later than this is stalled. Garbage collection and a busy machine stay well below."""

LOOK_FROM_S: Final = 0.1
LOOK_EVERY_S: Final = 0.05
"""A loop that is late is looked at so early and so often that whom it waited for longest can be told from who merely
came last."""

LONG_S: Final = 1.0
"""A stall as long as this is reported while it lasts: it may never end."""

QUIET_S: Final = 5.0
"""Stalls of one bot that are shorter than LONG_S are reported once in this time: a habit must not flood the journal,
nor keep another bot's stall out of it."""

HABIT: Final = 3
HABIT_S: Final = 600.0
"""A bot that blocks the loop for LONG_S so often in this time does harm to all others: it is no accident any more."""

MINUTE: Final = int(60 / BEAT_S)


class Lag(NamedTuple):
    """How late the loop was over the last minute, in seconds."""

    p50_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0


class Culprit(NamedTuple):
    """What ran while the loop was blocked: the task's name and `file:line function`; "" when it was not seen."""

    task: str = ""
    line: str = ""

    @property
    def bot_id(self) -> str:
        """The bot it belongs to, by the task's name; the fleet when to none."""
        owner, slash, _ = self.task.partition("/")
        return owner if slash and is_bot_id(owner) else FLEET


class LoopWatch:
    """Beats on the event loop every 0.1 s, in real time, and looks at it from a daemon thread.

    The thread sleeps until a beat is overdue; then it notes the loop's stack and task. `start` and `stop` belong on the
    loop that is watched. clock only stamps what is noted, in the fleet's time. on_habit is called at the HABIT-th long
    stall of one bot within HABIT_S, and at each that follows so closely.
    """

    def __init__(self, bus: Bus, clock: Clock, on_habit: Callable[[Culprit], None] = lambda _: None) -> None:
        self._bus = bus
        self._on_habit = on_habit
        self._long: dict[str, deque[float]] = {}
        self._clock = clock
        self._lags: deque[float] = deque(maxlen=MINUTE)
        self._stalls: deque[tuple[float, float]] = deque(maxlen=1000)
        self._due = 0.0
        self._looks: deque[Culprit] = deque(maxlen=MINUTE)
        self._quiet: dict[str, float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._beat_handle: asyncio.TimerHandle | None = None
        self._stopping = threading.Event()
        self._thread_id = 0

    # --- asking ------------------------------------------------------------------------------------------------

    def lag(self) -> Lag:
        """Return the lag over the last minute."""
        lags = sorted(self._lags)
        if not lags:
            return Lag()
        return Lag(lags[len(lags) // 2], lags[int(len(lags) * 0.99)], lags[-1])

    def late_s(self) -> float:
        """Return how late the loop is at this moment, in seconds; 0 when it is not watched."""
        return max(0.0, process_monotonic() - self._due) if self._loop is not None else 0.0

    def stalled_s(self, within_s: float) -> float:
        """Return for how many of the last within_s seconds the loop was stalled."""
        horizon = self._clock.monotonic() - within_s
        total = 0.0
        for ended, lasted in reversed(self._stalls):
            if ended < horizon:
                break
            total += min(lasted, ended - horizon)
        return total

    def note_stall(self, lasted_s: float) -> None:
        """Note a stall that has just ended."""
        self._stalls.append((self._clock.monotonic(), lasted_s))

    async def run(self) -> None:
        """Watch until cancelled."""
        self.start()
        try:
            await anyio.sleep_forever()
        finally:
            self.stop()

    # --- on the loop -------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to watch the running loop. Does nothing when it does already."""
        if self._loop is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._stopping = threading.Event()
        self._schedule()
        threading.Thread(target=self._watch, args=(self._stopping,), name="botdeck-loop-watch", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer; the thread ends by itself, soon."""
        self._stopping.set()
        self._loop = None
        if self._beat_handle is not None:
            self._beat_handle.cancel()

    def _schedule(self) -> None:
        assert self._loop is not None, "scheduled only while it watches"
        self._due = process_monotonic() + BEAT_S
        self._beat_handle = self._loop.call_later(BEAT_S, self._beat)

    def _beat(self) -> None:
        lag = max(0.0, process_monotonic() - self._due)
        self._lags.append(lag)
        looks, self._looks = self._looks, deque(maxlen=MINUTE)
        if lag >= STALL_S:
            self._report(lag, most_seen(looks))
        self._schedule()

    def _report(self, lag: float, culprit: Culprit) -> None:
        self.note_stall(lag)
        now = self._clock.monotonic()
        if lag >= LONG_S and culprit.bot_id != FLEET:
            self._note_habit(culprit, now)
        self._quiet = {bot_id: until for bot_id, until in self._quiet.items() if until > now}
        if lag < LONG_S and culprit.bot_id in self._quiet:
            return
        self._quiet[culprit.bot_id] = now + QUIET_S
        where = f"{culprit.task or 'an unknown task'} at {culprit.line or 'an unknown line'}"
        logger.error("the event loop was blocked for %.2f s by %s", lag, where, extra={"bot_id": culprit.bot_id})
        self._bus.publish(
            LoopStalled(
                bot_id=culprit.bot_id,
                at=self._clock.now(),
                duration_s=round(lag, 3),
                task=culprit.task,
                line=culprit.line,
            )
        )

    def _note_habit(self, culprit: Culprit, now: float) -> None:
        moments = self._long.setdefault(culprit.bot_id, deque(maxlen=HABIT))
        moments.append(now)
        if len(moments) == HABIT and now - moments[0] <= HABIT_S:
            self._on_habit(culprit)

    # --- in the thread -----------------------------------------------------------------------------------------

    def _watch(self, stopping: threading.Event) -> None:
        reported = 0.0
        while not stopping.wait(max(0.01, self._due + LOOK_FROM_S - process_monotonic())):
            due = self._due
            late = process_monotonic() - due
            if late < LOOK_FROM_S:
                continue
            self._look()
            if late >= LONG_S and due != reported:
                reported = due
                culprit = most_seen(self._looks)
                where = f"{culprit.task or 'an unknown task'} at {culprit.line}"
                logger.critical("the event loop is blocked by %s", where, extra={"bot_id": culprit.bot_id})
            stopping.wait(LOOK_EVERY_S)

    def _look(self) -> None:
        loop = self._loop
        frame = sys._current_frames().get(self._thread_id)  # noqa: SLF001 (documented; there is no other way)
        if loop is None or frame is None:
            return
        task = asyncio.current_task(loop)
        self._looks.append(Culprit(task.get_name() if task is not None else "", line_of(frame)))


def most_seen(looks: Iterable[Culprit]) -> Culprit:
    """Return the first look at the task that was seen most often; nobody without a look."""
    seen = list(looks)
    often = Counter(look.task for look in seen)
    return max(seen, key=lambda look: often[look.task]) if seen else Culprit()


def line_of(frame: FrameType) -> str:
    """Return `file:line function` of the innermost frame, and of our own or a tool's code that called it when it is another's."""
    innermost = _place(frame)
    own: FrameType | None = frame
    while own is not None and not _is_known(own):
        own = own.f_back
    return innermost if own is None or own is frame else f"{innermost}, called from {_place(own)}"


def _is_known(frame: FrameType) -> bool:
    """Tell whether a frame runs our code, or that of a file in the fleet's tools/."""
    return frame.f_code.co_filename.startswith(OWN) or str(frame.f_globals.get("__name__", "")).startswith(TOOLS)


def _place(frame: FrameType) -> str:
    return f"{own_file(frame.f_code.co_filename)}:{frame.f_lineno} {frame.f_code.co_name}"
