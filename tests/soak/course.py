"""One soak from beginning to end, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

import anyio
import anyio.to_thread

from console.attach import RemoteControl
from console.control import ALL, Action
from tests.soak.gauges import (
    LOG_BYTES,
    WALK_S,
    WALK_SLACK_S,
    Gauges,
    Reading,
    journal_bound,
    seed_old_rows,
    slope_kib_per_10_min,
)
from tests.soak.household import RETENTION_DAYS, Household, household
from tests.soak.life import ACTOR, DEEDS, Life
from tests.waiting import eventually

MAX_SLOPE_KIB: Final = 1024.0
"""Growth of RSS in ten minutes that is let pass, after warm-up."""
LEFTOVER_SLACK: Final = 3
"""Tasks, threads and descriptors that may be more at the end than before: a look in progress, a pooled thread."""


LEVELS: Final = ("tasks", "threads", "descriptors")
REST_S: Final = 60.0
"""Connections and threads that nobody uses are kept for some 15 s."""
LEVEL_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and how much. hurry divides the pauses between edits, troubles and looks.

    seeded: rows of each table that are given every bot; half are past their time by up to past_s, the others will be
    within as long (None: the length of the soak; at least so long that the first walk finds rows that are overdue).
    """

    seconds: float
    bots: int = 30
    rate_per_s: float = 20.0
    hurry: float = 1.0
    look_s: float = 5.0
    rows_per_bot: int = 1000
    seeded: int = 1000
    past_s: float | None = None
    seed: int = 1


@dataclass(slots=True)
class Course:
    """What was seen. copied: whether the copy was made."""

    plan: Plan
    before: Reading | None = None
    after: Reading | None = None
    copied: bool = False
    readings: list[Reading] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def steady(self) -> list[Reading]:
        """The readings after the warm-up: a third of the time, and the first regular walk of retention if there is time for it.

        That walk has the most to delete at once, and what it takes for that is kept for the next.
        """
        warm_s = max(self.plan.seconds / 3, min(self.plan.seconds / 2, WALK_S + WALK_SLACK_S))
        return [reading for reading in self.readings if reading.at_s > warm_s]

    def peak(self, name: str) -> float:
        """Return the highest value of a gauge."""
        return float(max((getattr(reading, name) for reading in self.readings), default=0))

    def judge(self, *, slope: bool) -> None:
        """Hold what was seen against the bounds; slope: also the growth of memory, which needs minutes to be told."""
        if slope and (grown := slope_kib_per_10_min(self.steady)) > MAX_SLOPE_KIB:
            self.wrong.append(f"RSS grows by {grown:.0f} KiB in 10 min; {MAX_SLOPE_KIB:.0f} are let pass")
        if undone := sorted(DEEDS - self.counts.keys()):
            self.wrong.append(f"never happened: {', '.join(undone)}")
        self._judge_file()
        self._judge_retention()
        assert self.before is not None, "the soak has begun"
        assert self.after is not None, "the soak has ended"
        for name in LEVELS:
            first, last = getattr(self.before, name), getattr(self.after, name)
            if last > first + LEFTOVER_SLACK:
                self.wrong.append(f"{last - first} {name} are left over ({first} before, {last} after)")

    def _judge_file(self) -> None:
        for reading in self.readings:
            if reading.wal_bytes > LOG_BYTES:
                self.wrong.append(f"the WAL had {reading.wal_bytes / 2**20:.0f} MiB at {reading.at_s:.0f} s")
                break
        bound = journal_bound(self.plan.rows_per_bot)
        if (rows := self.peak("journal_rows")) > bound:
            self.wrong.append(f"a journal grew to {rows:.0f} rows; {bound} are its bound")

    def _judge_retention(self) -> None:
        for reading in self.readings:
            if reading.at_s > WALK_SLACK_S and reading.overdue:
                stood = ", ".join(f"{count} of {table}" for table, count in reading.by_overdue.items() if count)
                self.wrong.append(
                    f"rows stood for more than 12 minutes past their time at {reading.at_s:.0f} s: {stood}"
                )
                break

    @property
    def is_level(self) -> bool:
        """Whether nothing is left over."""
        return all(getattr(self.after, name) <= getattr(self.before, name) + LEFTOVER_SLACK for name in LEVELS)


Told = Callable[[str], None]


async def soak(plan: Plan, folder: Path, tell: Told) -> Course:
    """Run a plan in an empty folder; what goes wrong is in the course. tell is given a line now and then."""
    course = Course(plan)
    async with household(folder, bots=plan.bots, rows_per_bot=plan.rows_per_bot) as home:
        await _prepare(home, plan)
        control = await home.start()
        assert home.process is not None
        gauges = Gauges(home.process.pid, home.database, home.report, RETENTION_DAYS)
        await _greet(home)
        course.before, open_before = await _look(gauges), gauges.open_files()
        life = Life(
            home, control, rate_per_s=plan.rate_per_s, hurry=plan.hurry, seed=Random(plan.seed).randrange(2**32)
        )
        await _live(life, gauges, course, home, control, tell)
        course.counts = dict(sorted(life.counts.items()))
        life.mend()
        await _come_to_rest(home, control, gauges, course)
        if not course.is_level:
            course.wrong.append(f"more open than before: {dict(gauges.open_files() - open_before)}")
        if (code := await home.stop()) != 0:
            course.wrong.append(f"the fleet ended with {code}")
        course.wrong += [line for line in home.output.splitlines() if line.startswith("Traceback")][:5]
    return course


async def _prepare(home: Household, plan: Plan) -> None:
    """Let the fleet make its database, and give it a past."""
    await home.start()
    await home.stop()
    names = [bot.username for bot in home.double.bots.values()]
    over_s = max(plan.seconds, 2 * WALK_S) if plan.past_s is None else plan.past_s
    await anyio.to_thread.run_sync(lambda: seed_old_rows(home.database, names, RETENTION_DAYS, rows=plan.seeded, over_s=over_s))  # fmt: skip


async def _greet(home: Household) -> None:
    """Let every bot answer once, so that what a first answer opens for good is open."""
    for bot in home.double.bots.values():
        bot.say(1, "hello")
    await eventually(lambda: all(bot.sent_count for bot in home.double.bots.values()), within_s=60)
    await anyio.sleep(1.0)


async def _live(
    life: Life, gauges: Gauges, course: Course, home: Household, control: RemoteControl, tell: Told
) -> None:
    plan = course.plan
    async with anyio.create_task_group() as group:
        group.start_soon(life.run)
        while gauges.elapsed_s < plan.seconds:
            await anyio.sleep(plan.look_s)
            course.readings.append(await _look(gauges))
            if not course.copied and gauges.elapsed_s > plan.seconds / 2:
                course.copied = True
                await control.backup(home.folder / "copy.db")
                (home.folder / "copy.db").unlink()
            tell(_line(course.readings[-1], life))
        group.cancel_scope.cancel()


async def _look(gauges: Gauges) -> Reading:
    return await anyio.to_thread.run_sync(gauges.read)


async def _come_to_rest(home: Household, control: RemoteControl, gauges: Gauges, course: Course) -> None:
    """Wait until everything is answered and nothing is left over; note what is."""
    for action in (Action.START, Action.RESUME):
        await control.steer(action, [ALL], actor=ACTOR)
    with anyio.move_on_after(REST_S) as scope:
        while not await _is_at_rest(home, control):
            await anyio.sleep(LEVEL_LOOK_S)
    if scope.cancelled_caught:
        course.wrong.append(f"something is open {REST_S:g} s after everything has come to rest")

    await _let_connections_go(course.plan.bots, control, gauges, course)
    with anyio.move_on_after(REST_S):
        while course.after is None or not course.is_level:
            await anyio.sleep(LEVEL_LOOK_S)
            course.after = await _look(gauges)


async def _let_connections_go(bots: int, control: RemoteControl, gauges: Gauges, course: Course) -> None:
    """Pause every bot until no connection is left, then let them poll again.

    Polls take the connection that rested longest, so those opened for a burst of sends are kept in use by short polls:
    as many as there were at once, and never more. Only without polls does it show whether each of them can end.
    """
    assert course.before is not None, "the soak has begun"
    await control.steer(Action.PAUSE, [ALL], actor=ACTOR)
    with anyio.move_on_after(REST_S):
        while (await _look(gauges)).descriptors > course.before.descriptors - bots:
            await anyio.sleep(LEVEL_LOOK_S)
    await control.steer(Action.RESUME, [ALL], actor=ACTOR)


async def _is_at_rest(home: Household, control: RemoteControl) -> bool:
    if any(bot.pending for bot in home.double.bots.values()):
        return False
    rows = (await control.status())["bots"]
    return all(row["phase"] == "running" and not row["inbox_open"] + row["outbox_open"] for row in rows)


def _line(reading: Reading, life: Life) -> str:
    return (
        f"{reading.at_s:6.0f} s  rss {reading.rss_kib / 1024:6.1f} MiB  tasks {reading.tasks:4d}  threads {reading.threads:2d}"
        f"  descriptors {reading.descriptors:4d}  wal {reading.wal_bytes / 2**20:5.1f} MiB"
        f"  longest journal {reading.journal_rows:5d}  past their time {reading.old_rows:6d}"
        f"  lag {reading.lag_ms:5.0f} ms  messages {life.counts['messages']}"
    )
