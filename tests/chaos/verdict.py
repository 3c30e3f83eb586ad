"""The oracle: what each person said, what came back, and whether botdeck's account of its doubts is the double's."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.chaos.autopsy import Finding
from tests.chaos.witness import Asked, SendRequest
from tests.chaos.words import APOLOGY, question, told_apart

_ANSWER: Final = re.compile(r"c(\d+) n(\d+) #(\d+)")
MOST_TRIES: Final = 3
"""Times one process may ask the model for one answer: `workers/llm/asking.py: TRIES`."""

Known = tuple[str, str]
"""(bot, what a send is known by: `told_apart`)."""


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


# --- what people got -------------------------------------------------------------------------------------------


def pardoned(asked: Iterable[Asked]) -> frozenset[str]:
    """Return the questions that may be answered with an apology: one life asked MOST_TRIES times, each time in vain.

    Nothing else in these campaigns allows one: the model refuses nothing, and its faults come too seldom for it to rest.
    """
    struck = Counter((call.life, call.question) for call in asked if call.struck)
    return frozenset(text for (_, text), times in struck.items() if times >= MOST_TRIES)


def judge_chat(
    verdict: Verdict, chat_id: int, said: int, heard: Sequence[str], pardons: Collection[str] = frozenset()
) -> None:
    """Hold one chat to: each message answered, in order, a repeat only beside its first.

    Apologies stand for pardoned messages between two answers, one for all of them or one for each; surplus ones
    count as repeats.
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
            _close_gap(verdict, chat_id, range(last + 1, number), apologies, pardons)
            last, apologies = number, 0
        else:
            verdict.wrong.append(f"chat {chat_id}: answer {number} came after answer {last}")
    _close_gap(verdict, chat_id, range(last + 1, said + 1), apologies, pardons)
    verdict.said += said


def _number_of(verdict: Verdict, chat_id: int, text: str) -> int:
    found = _ANSWER.fullmatch(text)
    if found is None or int(found[1]) != chat_id:
        verdict.wrong.append(f"chat {chat_id} got what is not for it: {text!r}")
        return 0
    return int(found[2])


def _close_gap(verdict: Verdict, chat_id: int, between: range, apologies: int, pardons: Collection[str]) -> None:
    """Take note of the messages between two answers: apologised for, or lost."""
    excused = sum(question(chat_id, number) in pardons for number in between)
    lost = len(between) - (excused if apologies else 0)
    if lost:
        verdict.wrong.append(f"chat {chat_id}: {lost} of the messages {between[0]}-{between[-1]} are lost")
    if apologies and not excused:
        verdict.wrong.append(f"chat {chat_id}: {apologies} apologies before {between.stop}, for no fault of the model")
    verdict.apologies += min(excused, apologies)
    verdict.twice += max(0, apologies - excused) if excused else 0


def judge_outcomes(verdict: Verdict, said: int, final: Finding, pardons: Collection[str]) -> None:
    """Hold the inbox to: every message answered, with the answer stored, or failed and pardoned."""
    answered, failed = final.outcomes.get("answered", 0), final.outcomes.get("failed", 0)
    if final.outcomes.keys() - {"answered", "failed", "open"} or failed > len(pardons):
        verdict.wrong.append(f"of {said} messages became {final.outcomes}, and {len(pardons)} may have failed")
    if answered != len(final.answers) or answered + failed + final.open_updates != said:
        verdict.wrong.append(
            f"{said} messages, {len(final.answers)} answers stored, and the inbox has {final.outcomes}"
        )


# --- doubts ----------------------------------------------------------------------------------------------------


def judge_doubts(verdict: Verdict, sends: Sequence[SendRequest], ends: Sequence[Finding], final: Finding) -> None:
    """Hold botdeck's count of doubts, send by send and after every end, to what the double saw.

    A send is in doubt once for each request the double left without a clear answer, and once for each end that found
    it on its way, unless such a request was what it was on its way with.
    """
    ledger = _Ledger(sends)
    for life, finding in enumerate(ends, 1):
        on_their_way = _on_their_way(finding)
        for known, counted in _counted(finding).items():
            ledger.judge_end(verdict, known, counted, on_their_way[known], life)
    counted = _counted(final)
    expected: Counter[str] = Counter()
    for known in counted.keys() | ledger.at_ends.keys():
        ledger.judge_total(verdict, known, counted[known])
        expected[known[0]] += ledger.at_ends[known]
    for request in sends:
        if request.in_doubt:
            verdict.doubts.of_faults += 1
            expected[request.bot] += 1
    verdict.doubts.at_ends = ledger.at_ends.total()
    verdict.doubts.counted = sum(final.by_bot.values())
    verdict.doubts.seen = expected.total()
    _compare(verdict, final.by_bot, expected)


def _counted(finding: Finding) -> Counter[Known]:
    """Return the doubts a database has counted, also where they are none yet."""
    counted: Counter[Known] = Counter()
    for row, text in finding.texts.items():
        counted[row[0], text] += finding.ambiguous[row]
    return counted


def _on_their_way(finding: Finding) -> Counter[Known]:
    return Counter((row[0], finding.texts[row]) for row in finding.attempting)


class _Ledger:
    """The double's account: send → life → requests left in doubt, and how often one was on its way at an end."""

    def __init__(self, sends: Iterable[SendRequest]) -> None:
        self.at_ends: Counter[Known] = Counter()
        self._faults: defaultdict[Known, Counter[int]] = defaultdict(Counter)
        self._arrived: set[tuple[int, Known]] = set()
        for request in sends:
            known = (request.bot, told_apart(request.text, request.chat_id))
            self._faults[known][request.life] += request.in_doubt
            self._arrived.add((request.life, known))

    def judge_end(self, verdict: Verdict, known: Known, counted: int, on_their_way: int, life: int) -> None:
        """Hold one send at one end to: all that was in doubt before is counted, but for what it is on its way with."""
        struck = sum(count for in_life, count in self._faults[known].items() if in_life <= life)
        unsettled = struck + self.at_ends[known] - counted
        if not 0 <= unsettled <= on_their_way:
            verdict.wrong.append(
                f"{known} after end {life}: counted {counted}, the double saw {struck}"
                f" and {self.at_ends[known]} at earlier ends{', on its way' if on_their_way else ''}"
            )
        fresh = on_their_way - max(0, unsettled)
        if fresh > 0:
            self.at_ends[known] += fresh
            verdict.doubts.never_left += (life, known) not in self._arrived

    def judge_total(self, verdict: Verdict, known: Known, counted: int) -> None:
        """Hold one send to what it was in doubt in all."""
        struck, ends = self._faults[known].total(), self.at_ends[known]
        if counted != struck + ends:
            verdict.wrong.append(f"{known}: counted {counted} doubts, the double saw {struck} and {ends} at ends")


def _compare(verdict: Verdict, counted: dict[str, int], expected: Counter[str]) -> None:
    for bot in counted.keys() | expected.keys():
        mine = counted.get(bot, 0)
        if mine != expected[bot]:
            verdict.wrong.append(f"{bot}: botdeck counts {mine} sends in doubt, the double {expected[bot]}")


def judge_copies(
    verdict: Verdict, heard: Mapping[int, Sequence[str]], final: Finding, pardons: Collection[str] = frozenset()
) -> None:
    """Hold all that was heard to: seen once, an apology once for each pardoned message, and once more for each doubt."""
    due: Counter[str] = Counter()
    for row, text in final.texts.items():
        due[text] += final.ambiguous[row]
    for chat_id in heard:
        due[told_apart(APOLOGY, chat_id)] += sum(text.startswith(f"c{chat_id} ") for text in pardons)
    copies = Counter(told_apart(text, chat_id) for chat_id, texts in heard.items() for text in texts)
    for text, seen in copies.items():
        most = due[text] + (not text.startswith(APOLOGY))
        if seen > most:
            verdict.wrong.append(f"{text!r} was sent {seen} times, and {most} at most were due")


# --- the model -------------------------------------------------------------------------------------------------


def judge_model(verdict: Verdict, asked: Sequence[Asked], final: Finding) -> None:
    """Hold the model to: asked until an answer is stored, never again after it, and by one process only after a fault."""
    calls: defaultdict[str, list[Asked]] = defaultdict(list)
    for call in asked:
        calls[call.question].append(call)
    pardons = pardoned(asked)
    stored = {text.rpartition(" #")[0]: int(text.rpartition("#")[2]) for text in final.answers.values() if "#" in text}
    verdict.wrong += [f"{text!r} was answered, and never asked for" for text in stored.keys() - calls.keys()]
    for text, mine in calls.items():
        verdict.asked_again += len(mine) - 1
        if text in stored and mine[-1].number != stored[text]:
            verdict.wrong.append(f"{text!r}: answer #{stored[text]} is stored, yet #{mine[-1].number} was asked for")
        if text not in stored and text not in pardons:
            verdict.wrong.append(f"{text!r} was asked, and no answer is stored")
        struck = Counter(call.life for call in mine if call.struck)
        for life, times in Counter(call.life for call in mine).items():
            if times > min(MOST_TRIES, 1 + struck[life]):
                verdict.wrong.append(f"{text!r} was asked {times} times by process {life}, struck {struck[life]} times")
