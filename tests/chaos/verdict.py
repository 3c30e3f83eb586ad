"""The oracle: what each person said, what came back, and whether botdeck's account of its doubts is the double's."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.autopsy import Finding, Row
from tests.chaos.witness import Asked, SendRequest

APOLOGY: Final = "sorry"
_ANSWER: Final = re.compile(r"c(\d+) n(\d+) #(\d+)")
MOST_TRIES: Final = 3
"""Times one process may ask the model for one answer: `workers/chat/engine.py: TRIES`."""


@dataclass(slots=True)
class Doubts:
    """How often a send was in doubt. counted: by botdeck; seen: as the double's requests and the kills add up.

    never_left: of those at a kill, how many the double has not had at all.
    """

    counted: int = 0
    seen: int = 0
    of_faults: int = 0
    at_ends: int = 0
    never_left: int = 0


@dataclass(slots=True)
class Verdict:
    """What was found. wrong is empty when every promise was kept."""

    wrong: list[str] = field(default_factory=list)
    said: int = 0
    twice: int = 0
    apologies: int = 0
    doubts: Doubts = field(default_factory=Doubts)
    asked_again: int = 0


def question(chat_id: int, number: int) -> str:
    """Return what a person says."""
    return f"c{chat_id} n{number}"


# --- what people got -------------------------------------------------------------------------------------------


def judge_chat(verdict: Verdict, chat_id: int, said: int, heard: Sequence[str]) -> None:
    """Hold one chat to: each message answered, in order, a repeat only beside its first.

    An apology stands for the next message without an answer; surplus ones count as repeats.
    """
    last = apologies = 0
    for text in heard:
        if text == APOLOGY:
            apologies += 1
            continue
        number = _number_of(verdict, chat_id, text)
        if number == last:
            verdict.twice += 1
        elif number > last:
            _close_gap(verdict, chat_id, last, number, apologies)
            last, apologies = number, 0
        else:
            verdict.wrong.append(f"chat {chat_id}: answer {number} came after answer {last}")
    _close_gap(verdict, chat_id, last, said + 1, apologies)
    verdict.said += said


def _number_of(verdict: Verdict, chat_id: int, text: str) -> int:
    found = _ANSWER.fullmatch(text)
    if found is None or int(found[1]) != chat_id:
        verdict.wrong.append(f"chat {chat_id} got what is not for it: {text!r}")
        return 0
    return int(found[2])


def _close_gap(verdict: Verdict, chat_id: int, last: int, number: int, apologies: int) -> None:
    """Take note of the messages between two answers: apologised for, or lost."""
    between = number - last - 1
    if between > apologies:
        verdict.wrong.append(f"chat {chat_id}: {between - apologies} of the messages {last + 1}-{number - 1} are lost")
    verdict.apologies += min(between, apologies)
    verdict.twice += max(0, apologies - between)


# --- doubts ----------------------------------------------------------------------------------------------------


def judge_doubts(verdict: Verdict, sends: Sequence[SendRequest], ends: Sequence[Finding], final: Finding) -> None:
    """Hold botdeck's count of doubts, row by row and after every end, to what the double saw.

    A row is in doubt once for each request the double left without a clear answer, and once for each end that found
    it on its way, unless such a request was what it was on its way with.
    """
    ledger = _Ledger(sends)
    for life, finding in enumerate(ends, 1):
        for row in finding.ambiguous:
            ledger.judge_row(verdict, row, finding, life)
    expected: Counter[str] = Counter()
    for row in final.ambiguous.keys() | ledger.at_ends.keys():
        ledger.judge_total(verdict, row, final)
        expected[row[0]] += ledger.at_ends[row]
    for request in sends:
        if request.in_doubt:
            verdict.doubts.of_faults += 1
            expected[request.bot] += 1
    verdict.doubts.at_ends = ledger.at_ends.total()
    verdict.doubts.counted = sum(final.by_bot.values())
    verdict.doubts.seen = expected.total()
    _compare(verdict, final.by_bot, expected)


class _Ledger:
    """The double's account: text → life → requests left in doubt, and how often a row was on its way at an end."""

    def __init__(self, sends: Iterable[SendRequest]) -> None:
        self.at_ends: Counter[Row] = Counter()
        self._faults: defaultdict[str, Counter[int]] = defaultdict(Counter)
        self._arrived: set[tuple[int, str]] = set()
        for request in sends:
            self._faults[request.text][request.life] += request.in_doubt
            self._arrived.add((request.life, request.text))

    def judge_row(self, verdict: Verdict, row: Row, finding: Finding, life: int) -> None:
        """Hold one row of one end to: all that was in doubt before is counted, but for what it is on its way with."""
        text, counted, on_its_way = finding.texts[row], finding.ambiguous[row], row in finding.attempting
        struck = sum(count for in_life, count in self._faults[text].items() if in_life <= life)
        unsettled = struck + self.at_ends[row] - counted
        if text != APOLOGY and not 0 <= unsettled <= on_its_way:
            verdict.wrong.append(
                f"{row} after end {life}: counted {counted}, the double saw {struck}"
                f" and {self.at_ends[row]} at earlier ends{', on its way' if on_its_way else ''}"
            )
        if on_its_way and unsettled <= 0:
            self.at_ends[row] += 1
            verdict.doubts.never_left += (life, text) not in self._arrived

    def judge_total(self, verdict: Verdict, row: Row, final: Finding) -> None:
        """Hold one row to what it was in doubt in all."""
        text, counted, ends = final.texts.get(row, ""), final.ambiguous.get(row, 0), self.at_ends[row]
        struck = self._faults[text].total()
        if text != APOLOGY and counted != struck + ends:
            verdict.wrong.append(f"{row}: counted {counted} doubts, the double saw {struck} and {ends} at ends")


def _compare(verdict: Verdict, counted: dict[str, int], expected: Counter[str]) -> None:
    for bot in counted.keys() | expected.keys():
        mine = counted.get(bot, 0)
        if mine != expected[bot]:
            verdict.wrong.append(f"{bot}: botdeck counts {mine} sends in doubt, the double {expected[bot]}")


def judge_copies(verdict: Verdict, heard: Iterable[str], final: Finding) -> None:
    """Hold every answer to: seen once, and once more at most for each doubt."""
    doubts: Counter[str] = Counter()
    for row, text in final.texts.items():
        doubts[text] += final.ambiguous[row]
    for text, copies in Counter(heard).items():
        if text != APOLOGY and copies > 1 + doubts[text]:
            verdict.wrong.append(f"{text!r} was sent {copies} times and in doubt {doubts[text]} times")


# --- the model -------------------------------------------------------------------------------------------------


def judge_model(verdict: Verdict, asked: Iterable[Asked], final: Finding, *, storm: bool) -> None:
    """Hold the model to: never asked again for an answer that is stored, and not more often than tries allow."""
    calls: defaultdict[str, list[Asked]] = defaultdict(list)
    for call in asked:
        calls[call.question].append(call)
    stored = {text.rpartition(" #")[0]: int(text.rpartition("#")[2]) for text in final.answers.values() if "#" in text}
    for text, mine in calls.items():
        verdict.asked_again += len(mine) - 1
        if text in stored and mine[-1].number != stored[text]:
            verdict.wrong.append(f"{text!r}: answer #{stored[text]} is stored, yet #{mine[-1].number} was asked for")
        most = max(Counter(call.life for call in mine).values())
        if most > (MOST_TRIES if storm else 1):
            verdict.wrong.append(f"{text!r} was asked {most} times by one process")
