"""The fleet as frames: a whole picture first, then what changed. One board serves every console that looks.

Nothing is computed or kept while nobody looks. While somebody does, four times a second the bots something happened to
are looked at again (at once after a while of rest), and a slice of the others, so that every row is at most 5 s old.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Final, cast

from config.vocabulary import FLEET
from console.answers import BotRow, EventLine, Figures, FleetFigures, Frame, LiveFleet, LiveRow
from console.rows import event_line, line_of
from store import events
from workers.figures import QUARTERS, per_minute

if TYPE_CHECKING:
    from console.runtime import Fleet
    from workers.bus import Subscription

TICK_S: Final = 0.25
PEEK_S: Final = 0.03
"""How soon something that happens after a while of rest is seen."""
SLICES: Final = 16
"""In so many looks, which come a little late each, every bot is looked at: within 5 s."""
LONGEST_S: Final = 4.7
"""The first look after so long is told whatever it sees, so that a frame comes each 5 s: a dead link is noticed."""
ADDED_S: Final = 1.0
"""How often what every bot spent is added up, and the lag of the loop looked at."""
BACKLOG: Final = 8192
RECALLED: Final = 1000
"""Events read from the store when the first console opens."""
NOISE: Final = frozenset({events.MessageReceived.__name__, events.ReplySent.__name__})
WORTH: Final = tuple(sorted(events.KINDS.keys() - NOISE))
SILENT: Final = [0] * QUARTERS
"""The trend of every bot nobody writes to: most of a large fleet, most of the time."""
_ROW: Final = (*BotRow.__annotations__, "in_turn", "inbox_age_s", "desired_actor", "desired_reason")
_VALUES: Final = attrgetter(*_ROW)
_RECORD: Final = (
    "phase", "phase_reason", "since", "desired", "paused", "restarts", "retry_at", "generation", "observed_generation",
)  # fmt: skip
"""What a record says of itself beside its conditions; what is not here changes with one of these."""
_RECORDED: Final = attrgetter(*_RECORD)
_KNOWN: Final = itemgetter(*_RECORD)


_FIGURES: Final = (
    "per_min", "trend", "turn_p50_s", "turn_p95_s", "errors_1h", "tokens_today", "cost_today", "last_event",
)  # fmt: skip


class _Made:
    """What a row is made as: the dict of an object shares its names with all others of its kind, a third of the size."""


class _MadeFigures:
    """What the figures of a row are made as, for the same reason."""


class Board:
    """The rows of all bots as last looked at, each with the number of the look that changed it."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._rows: dict[str, LiveRow] = {}
        self._changed: dict[str, int] = {}
        self._gone: dict[str, int] = {}
        self._forgotten = 0
        self._last: dict[str, EventLine] = {}
        self._looks = 0
        self._news_at = self._sliced_at = -TICK_S
        self._slice = 0
        self._added_at = -ADDED_S
        self._spent: tuple[int, float | None] = (0, 0.0)
        self._lag_ms = 0.0
        self._followers = 0
        self._ears = ExitStack()
        self._news: Subscription | None = None

    async def follow(self) -> AsyncIterator[Frame]:
        """As Control.feed."""
        clock = self._fleet.clock
        with self._listening():
            await self._recall()
            seen, rev, told_at = 0, 0, 0.0
            fleet: LiveFleet | None = None
            while True:
                while self._looks == seen and not self._due():
                    await clock.sleep(PEEK_S)
                self._look()
                full = not rev or self._forgotten > seen
                bots, gone = self._since(seen)
                seen = self._looks  # before the frame leaves: others look on while this reader is slow
                now, found = clock.monotonic(), self._fleet_row()
                if full or bots or gone or not alike(found, fleet) or now - told_at >= LONGEST_S:
                    rev, told_at, fleet = rev + 1, now, found
                    yield self._frame(rev, full, found, bots, gone)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Listen to the bus while anybody follows; what was seen before is forgotten with the last one."""
        if not self._followers:
            self._news = self._ears.enter_context(self._fleet.bus.subscribe(BACKLOG))
            self._news_at = self._sliced_at = self._fleet.clock.monotonic() - TICK_S
            self._added_at = self._news_at - ADDED_S
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                self._ears.close()
                for kept in (self._rows, self._changed, self._gone, self._last):
                    kept.clear()
                self._forgotten = 0

    async def _recall(self) -> None:
        """Read the last event of each bot; what has been heard meanwhile is later."""
        if self._last:
            return
        await self._fleet.journal.flush()
        found = {row.bot_id: event_line(row) for row in await self._fleet.store.tail_events(RECALLED, 0, WORTH)}
        self._last = found | self._last

    def _since(self, seen: int) -> tuple[list[LiveRow], list[str]]:
        """Return the rows that changed, and the bots that went, after a look."""
        bots = [self._rows[bot_id] for bot_id, look in self._changed.items() if look > seen]
        return bots, [bot_id for bot_id, look in self._gone.items() if look > seen]

    def _frame(self, rev: int, full: bool, fleet: LiveFleet, bots: list[LiveRow], gone: list[str]) -> Frame:
        rows = [self._rows[bot_id] for bot_id in sorted(self._rows)] if full else bots
        owner, now = self._fleet.owner, self._fleet.clock.now()
        return {
            "rev": rev,
            "start_id": owner.start_id,
            "at": now,
            "full": full,
            "fleet": fleet,
            "bots": rows,
            "gone": gone,
        }

    # --- looking -----------------------------------------------------------------------------------------------

    def _due(self) -> bool:
        """Tell whether it is time to look: at the next slice, or at news after a while without."""
        now = self._fleet.clock.monotonic()
        figures = self._fleet.metrics.figures
        news = bool(figures.changed or figures.noted or self._news)
        return now - self._sliced_at >= TICK_S or (news and now - self._news_at >= TICK_S)

    def _look(self) -> None:
        """Look at what may have changed, unless somebody just did."""
        if not self._due():
            return
        self._looks += 1
        ids = self._fleet.pool.bot_ids()
        if not self._fleet.control.closing:  # a fleet that ends lets its bots go: they are stopped, not gone
            self._drop(self._rows.keys() - ids)
        suspects, noted = self._suspects(ids)
        for bot_id in noted:
            if not self._renew(bot_id):
                suspects.add(bot_id)
        for bot_id in suspects:
            row = self._row(bot_id)
            if row != self._rows.get(bot_id):
                self._put(bot_id, row)

    def _put(self, bot_id: str, row: LiveRow) -> None:
        self._rows[bot_id] = row
        self._changed[bot_id] = self._looks
        self._gone.pop(bot_id, None)

    def _suspects(self, ids: set[str]) -> tuple[set[str], set[str]]:
        """Return the bots to look at as a whole, and others whose record alone says something new.

        The first are those with news, new ones, and, when its time has come, the next slice of all.
        """
        now = self._fleet.clock.monotonic()
        figures = self._fleet.metrics.figures
        changed, figures.changed = figures.changed, set()
        noted, figures.noted = figures.noted, set()
        for event in self._news.take() if self._news is not None else ():
            changed.add(event.bot_id)
            if event.kind not in NOISE:
                self._last[event.bot_id] = line_of(event)
        self._news_at = now if changed or noted else self._news_at
        suspects = (changed | (ids - self._rows.keys())) & ids
        if now - self._sliced_at >= TICK_S:
            self._sliced_at = now
            suspects |= ids & self._next_slice()
        return suspects, (noted & ids) - suspects

    def _next_slice(self) -> set[str]:
        known = list(self._rows)
        size = len(known) // SLICES + 1
        begin = self._slice * size
        self._slice = (self._slice + 1) % SLICES
        return set(known[begin : begin + size])

    def _drop(self, bot_ids: set[str]) -> None:
        for bot_id in bot_ids:
            del self._rows[bot_id]
            self._changed.pop(bot_id, None)
            self._last.pop(bot_id, None)
            self._gone[bot_id] = self._looks
        while len(self._gone) > RECALLED:
            self._forgotten = max(self._forgotten, self._gone.pop(next(iter(self._gone))))

    # --- rows --------------------------------------------------------------------------------------------------

    def _renew(self, bot_id: str) -> bool:
        """Bring a row up to date where nothing but conditions changed; tell whether that is so.

        They change far more often than all the rest of a record, and whatever else a bot has is not looked at for it.
        """
        record, before = self._fleet.pool.record(bot_id), self._rows[bot_id]
        if _RECORDED(record) != _KNOWN(before):
            return False
        conditions = record.conditions.as_dict()
        if conditions != before["conditions"]:
            row = before.copy()
            row["conditions"] = conditions
            self._put(bot_id, row)
        return True

    def _row(self, bot_id: str) -> LiveRow:
        status = self._fleet.pool.bot(bot_id)
        row = vars(_Made())
        row.update(zip(_ROW, _VALUES(status), strict=True))
        row["config_error"] = status.config_error or None
        row["figures"] = self._figures(bot_id)
        return cast("LiveRow", row)

    def _figures(self, bot_id: str) -> Figures:
        metrics = self._fleet.metrics
        figures = metrics.figures
        trend = figures.trend(bot_id)
        if trend == SILENT:
            trend = SILENT
        p50, p95 = metrics.percentiles(bot_id, "turn_s")
        tokens, cost = figures.today(bot_id)
        errors, last = figures.errors_1h(bot_id), self._last.get(bot_id)
        made = vars(_MadeFigures())
        made.update(zip(_FIGURES, (per_minute(trend), trend, p50, p95, errors, tokens, cost, last), strict=True))
        return cast("Figures", made)

    def _fleet_row(self) -> LiveFleet:
        control = self._fleet.control
        return cast("LiveFleet", {**control.fleet_row(), "figures": self._fleet_figures()})

    def _fleet_figures(self) -> FleetFigures:
        metrics = self._fleet.metrics
        trend = metrics.figures.trend(FLEET)
        self._add_up()
        tokens, cost = self._spent
        return {
            "per_min": per_minute(trend),
            "trend": trend,
            "turn_p95_s": metrics.percentiles(FLEET, "turn_s")[1],
            "errors_1h": metrics.figures.errors_1h(FLEET),
            "tokens_today": tokens,
            "cost_today": cost,
            "loop_lag_ms": self._lag_ms,
        }

    def _add_up(self) -> None:
        """Add up what all bots spent today, and sort the lags of a minute, once a second: both look at a thousand values."""
        now = self._fleet.clock.monotonic()
        if now - self._added_at < ADDED_S:
            return
        self._added_at = now
        spent = [(row["figures"]["tokens_today"], row["figures"]["cost_today"]) for row in self._rows.values()]
        costs = [cost for _, cost in spent if cost is not None]
        self._spent = sum(tokens for tokens, _ in spent), sum(costs) if len(costs) == len(spent) else None
        self._lag_ms = round(self._fleet.pool.loop_watch.lag().p99_s * 1000, 1)


def alike(fleet: LiveFleet, before: LiveFleet | None) -> bool:
    """Tell whether nothing but the lag of the loop differs, which never stands still."""
    if before is None:
        return False
    lag_ms = before["figures"]["loop_lag_ms"]
    return {**fleet, "figures": {**fleet["figures"], "loop_lag_ms": lag_ms}} == before
