"""One campaign: people write, the fleet is ended again and again and started at once, then everything is judged."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
import anyio.to_thread

from tests import nursery
from tests.chaos.autopsy import Finding, count_open, examine, take_copy
from tests.chaos.editor import EDITS, Editor
from tests.chaos.subject import PATIENCE_S, ROOT, Subject
from tests.chaos.verdict import (
    Verdict,
    judge_chat,
    judge_copies,
    judge_doubts,
    judge_model,
    judge_outcomes,
    pardoned,
)
from tests.chaos.weather import KINDS, Weather
from tests.chaos.witness import Served, Witness
from tests.chaos.words import question
from tests.waiting import eventually

EARLY: Final = 0.2
"""The share of ends that come while the fleet still starts."""
EARLY_S: Final = (0.0, 1.0)
SETTLE_S: Final = 90.0
SHOWN_S: Final = 60.0
"""The last life of a storm goes on until every kind of fault has struck, but not longer than this."""
SETTLED_LOOK_S: Final = 0.1
TICK_S: Final = 0.01
BREATHS: Final = (1, 1, 1, 2, 4)
"""How many messages come at once."""
REFUSED: Final = 2
"""The exit code of a start with a broken fleet.toml."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done. number is the signal; life_s bounds a life after its first answer, in seconds."""

    name: str
    ends: int
    seed: int
    number: signal.Signals = signal.SIGKILL
    storm: bool = False
    bots: int = 20
    chats: int = 200
    rate_per_s: float = 60.0
    life_s: tuple[float, float] = (0.2, 4.0)


@dataclass(slots=True)
class Report:
    """What came of a plan. refused: starts with a broken fleet.toml; struck: what befell the fleet, by kind.

    lives: one per start that was let serve. The very first is none of them: it makes the database.
    """

    plan: Plan
    verdict: Verdict = field(default_factory=Verdict)
    lives: list[Served] = field(default_factory=list)
    refused: int = 0
    checks: int = 0
    struck: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.verdict.wrong


class Campaign:
    """Runs one plan in a folder."""

    def __init__(self, plan: Plan, folder: Path, double: Witness) -> None:
        self.report = Report(plan)
        self._plan = plan
        self._double = double
        self._folder = folder
        self._subject = Subject(folder)
        # One source of chance for each part: how long one of them takes does not change what another does.
        self._moments, self._voices = Random(f"{plan.seed} moments"), Random(f"{plan.seed} voices")
        for number in range(plan.bots):
            double.add_bot(username=f"bot{number:02}")
        self._weather = Weather(double, Random(f"{plan.seed} weather"))
        self._editor = Editor(self._subject, double, Random(f"{plan.seed} editor"))
        self._said = {1000 + number: 0 for number in range(plan.chats)}
        self._ends: list[Finding] = []

    async def run(self) -> Report:
        """Do it and judge it. What goes wrong on the way is part of the report, never raised."""
        self._subject.write_fleet(self._double)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._talk)
                if self._plan.storm:
                    group.start_soon(self._weather.run)
                    group.start_soon(self._editor.run)
                for number in range(1, self._plan.ends + 1):
                    await self._live_and_end(number)
                group.cancel_scope.cancel()
            await self._settle()
        except* (AssertionError, TimeoutError) as group:
            self.report.verdict.wrong += [str(error) or type(error).__name__ for error in leaves(group)]
        finally:
            with anyio.CancelScope(shield=True):
                await self._subject.abandon()
        self.report.struck = self._struck()
        return self.report

    def _wrong(self, text: str) -> None:
        self.report.verdict.wrong.append(text)

    # --- people ------------------------------------------------------------------------------------------------

    async def _talk(self) -> None:
        """Say rate_per_s things a second, in chats at random, often several in a breath: they must stay in order."""
        chats, bots = list(self._said), list(self._double.bots.values())
        began, done = time.monotonic(), 0
        while True:
            while done < (time.monotonic() - began) * self._plan.rate_per_s:
                chat, breath = self._voices.choice(chats), self._voices.choice(BREATHS)
                done += breath
                bot = bots[chat % len(bots)]
                if bot.id in self._weather.quiet:
                    continue
                for _ in range(breath):
                    self._said[chat] += 1
                    bot.say(chat, question(chat, self._said[chat]))
            await anyio.sleep(TICK_S)

    # --- lives and ends ----------------------------------------------------------------------------------------

    async def _live_and_end(self, number: int) -> None:
        await self._start()
        last = self._plan.storm and number == self._plan.ends
        if self._moments.random() < EARLY and not last:
            await anyio.sleep(self._moments.uniform(*EARLY_S))
        else:
            left_s = self._moments.uniform(*self._plan.life_s)
            await self._serving()
            await anyio.sleep(left_s)
        if last:
            await self._let_all_strike()
        await self._end(number)

    async def _let_all_strike(self) -> None:
        """Wait until each kind of fault and edit has been there: a storm without one has shown nothing of it."""
        with suppress(AssertionError):
            await eventually(lambda: not self._missing() or self._subject.ended, within_s=SHOWN_S)
        if missing := self._missing():
            self._wrong(f"this storm had none of: {', '.join(missing)}")

    def _missing(self) -> list[str]:
        struck = self._struck()
        return [kind for kind in (*KINDS, *EDITS) if not struck[kind]]

    def _struck(self) -> Counter[str]:
        return self._weather.struck() + self._editor.struck()

    async def _start(self) -> None:
        self._double.begin_life()
        await self._subject.start()

    async def _serving(self) -> None:
        """Wait for the first answer of this life, starting again where a broken fleet.toml stood in the way."""
        served = self._double.served[self._double.life]
        while True:
            await eventually(lambda: served.first_answer or self._subject.ended, within_s=PATIENCE_S)
            if not self._subject.ended:
                if self._double.life > 1:
                    self.report.lives.append(served)
                return
            await self._started_in_vain()

    async def _started_in_vain(self) -> None:
        code = await self._subject.wait()
        output = self._subject.output
        if code != REFUSED or "fleet.toml" not in output:
            raise AssertionError(f"the fleet ended by itself with {code}: {output[-2000:]}")
        self.report.refused += 1
        self._editor.mend_fleet()
        await self._start_again()

    async def _start_again(self) -> None:
        # A start that was refused has touched nothing: its life goes on, its clock begins anew.
        self._double.served[self._double.life].spawned = time.monotonic()
        await self._subject.start()

    async def _end(self, number: int) -> None:
        code = await self._subject.end(self._plan.number)
        if self._plan.number == signal.SIGTERM and not self._ended_well(code):
            self._wrong(f"end {number}: SIGTERM ended the fleet with {code}: {self._subject.output[-2000:]}")
        copy = take_copy(self._subject.database, self._folder / "copies" / f"{number:03}")
        await eventually(lambda: self._double.connections == 0)
        finding = await anyio.to_thread.run_sync(examine, copy)
        self._ends.append(finding)
        self.report.checks += 1
        if finding.damage:
            self._wrong(f"end {number}: the database is damaged: {finding.damage[0]}")
        else:
            shutil.rmtree(copy.parent)

    def _ended_well(self, code: int) -> bool:
        """Whether a process that was asked to end has done so in order, or had not even begun to listen."""
        begun = self._double.served[self._double.life].first_poll is not None
        return code == 0 or (code == -signal.SIGTERM and not begun and not self._subject.output)

    # --- the last life -----------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Let everything come to rest, ask botdeck for its account, stop it, judge."""
        self._weather.clear_up()
        self._editor.mend()
        await self._start()
        await self._serving()
        try:
            await eventually(self._is_settled, within_s=SETTLE_S)
        except AssertionError:
            self._wrong(f"something is still open {SETTLE_S:g} s after all faults have ended")
        status = await anyio.to_thread.run_sync(self._status)
        code = await self._subject.end(signal.SIGTERM)
        if code != 0:
            self._wrong(f"the last stop ended with {code}")
        final = await anyio.to_thread.run_sync(examine, self._subject.database)
        self.report.checks += 1
        self._judge(final, status)

    async def _is_settled(self) -> Any:
        """Whether botdeck has taken everything, and has nothing open."""
        await anyio.sleep(SETTLED_LOOK_S)
        if any(bot.pending for bot in self._double.bots.values()):
            return False
        return await anyio.to_thread.run_sync(count_open, self._subject.database) == 0

    def _status(self) -> dict[str, int]:
        """Return what `botdeck status` says of sends in doubt, by bot."""
        done = nursery.run(
            [sys.executable, "-m", "console", "status", "--json", "-C", str(self._subject.root)],
            timeout_s=PATIENCE_S, cwd=ROOT, env=self._subject.environment, text=True, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode != 0:
            self._wrong(f"`botdeck status` ended with {done.returncode}: {done.stdout}{done.stderr}")
            return {}
        status: dict[str, Any] = json.loads(done.stdout)
        return {row["bot_id"]: row["ambiguous_sends"] for row in status["bots"]}

    def _judge(self, final: Finding, status: dict[str, int]) -> None:
        verdict, double = self.report.verdict, self._double
        if final.damage:
            self._wrong(f"the database is damaged: {final.damage[0]}")
        if final.open_updates or final.open_sends:
            self._wrong(f"{final.open_updates} updates and {final.open_sends} sends are open at the end")
        if status != final.by_bot:
            self._wrong(f"`botdeck status` says {status}, the database {final.by_bot}")
        pardons = pardoned(double.asked)
        for chat, said in self._said.items():
            judge_chat(verdict, chat, said, double.heard[chat], pardons)
        judge_outcomes(verdict, verdict.said, final, pardons)
        judge_doubts(verdict, double.sends, self._ends, final)
        judge_copies(verdict, double.heard, final, pardons)
        judge_model(verdict, double.asked, final)
        if self._plan.number == signal.SIGTERM and not self._plan.storm and (verdict.twice or verdict.doubts.counted):
            self._wrong(f"SIGTERM left {verdict.doubts.counted} sends in doubt and {verdict.twice} answers twice")


def leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    """Return the errors of a group and its groups."""
    return [
        leaf
        for error in group.exceptions
        for leaf in (leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    ]


async def run(plan: Plan, folder: Path) -> Report:
    """Run one plan; the folder then holds the fleet, its logs, and the copies of damaged databases."""
    async with Witness(Random(f"{plan.seed} latency")) as double:
        return await Campaign(plan, folder, double).run()
