"""The oracle of the campaigns sees what it is there to see: losses, repeats, disorder, doubts counted wrongly, waste."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.chaos.autopsy import Finding, Row
from tests.chaos.verdict import Verdict, judge_chat, judge_copies, judge_doubts, judge_model
from tests.chaos.witness import Asked, SendRequest

ROW: Row = ("bot00", 1)
TEXT = "c7 n1 #1"


def chat(said: int, *heard: str) -> Verdict:
    verdict = Verdict()
    judge_chat(verdict, 7, said, [f"c7 n{text} #0" if text.isdigit() else text for text in heard])
    return verdict


@pytest.mark.parametrize(
    ("said", "heard", "twice", "apologies"),
    [
        (0, "", 0, 0),
        (3, "1 2 3", 0, 0),
        (3, "1 2 2 2 3", 2, 0),
        (3, "1 sorry 3", 0, 1),
        (3, "1 sorry sorry 3", 1, 1),
        (3, "1 2 sorry", 0, 1),
        (2, "sorry sorry sorry", 1, 2),
    ],
)
def test_a_chat_in_order(said: int, heard: str, twice: int, apologies: int) -> None:
    """Repeats and apologies are counted; nothing is wrong with them here."""
    verdict = chat(said, *heard.split())
    assert (verdict.wrong, verdict.twice, verdict.apologies, verdict.said) == ([], twice, apologies, said)


@pytest.mark.parametrize(
    ("said", "heard", "complaint"),
    [
        (3, "1 3", "1 of the messages 2-2 are lost"),
        (3, "1", "2 of the messages 2-3 are lost"),
        (1, "", "1 of the messages 1-1 are lost"),
        (4, "1 sorry 4", "1 of the messages 2-3 are lost"),
        (3, "1 3 2", "answer 2 came after answer 3"),
        (2, "1 2 1", "answer 1 came after answer 2"),
        (1, "1 c8_n1_#0", "is not for it"),
    ],
)
def test_a_chat_that_was_wronged(said: int, heard: str, complaint: str) -> None:
    """A loss, a late answer, somebody else's answer."""
    wrong = chat(said, *[text.replace("_", " ") for text in heard.split()]).wrong
    assert any(complaint in text for text in wrong), wrong


def finding(ambiguous: int, *, on_its_way: bool = False) -> Finding:
    return Finding([], {ROW} if on_its_way else set(), {ROW: ambiguous}, {ROW: TEXT}, {"bot00": ambiguous})


def request(life: int, outcome: str = "ok") -> SendRequest:
    return SendRequest(life, "bot00", 7, TEXT, taken=True, outcome=outcome)


@pytest.mark.parametrize(
    ("sends", "ends", "final", "at_ends", "never_left"),
    [
        ([request(1)], [], 0, 0, 0),
        ([request(1, "doubt"), request(1)], [], 1, 0, 0),
        ([request(1, "refused"), request(1)], [], 0, 0, 0),
        ([request(1), request(2)], [finding(0, on_its_way=True)], 1, 1, 0),  # taken, and the process ended
        ([request(2)], [finding(0, on_its_way=True)], 1, 1, 1),  # it ended before the part had left
        ([request(1, "doubt"), request(2)], [finding(0, on_its_way=True)], 1, 0, 0),  # a fault, and then the end
        ([request(1, "doubt"), request(1), request(2)], [finding(1, on_its_way=True)], 2, 1, 0),
        ([request(1), request(3)], [finding(0, on_its_way=True), finding(0, on_its_way=True)], 1, 1, 0),
    ],
)
def test_doubts_that_are_counted_as_they_were(
    sends: Sequence[SendRequest], ends: Sequence[Finding], final: int, at_ends: int, never_left: int
) -> None:
    """Each fault is one doubt, each end with a send on its way another, unless it is the same."""
    verdict = Verdict()
    judge_doubts(verdict, sends, ends, finding(final))
    doubts = verdict.doubts
    assert (verdict.wrong, doubts.counted, doubts.seen) == ([], final, final)
    assert (doubts.at_ends, doubts.never_left) == (at_ends, never_left)


@pytest.mark.parametrize(
    ("sends", "ends", "final"),
    [
        ([request(1, "doubt"), request(1)], [], 0),
        ([request(1)], [], 1),
        ([request(1), request(2)], [finding(0, on_its_way=True)], 0),
        ([request(1), request(2)], [finding(0, on_its_way=True)], 2),
        ([request(1, "doubt"), request(1)], [finding(0)], 1),  # not counted yet although it was not on its way any more
    ],
)
def test_doubts_that_are_not(sends: Sequence[SendRequest], ends: Sequence[Finding], final: int) -> None:
    """Too few and too many are both wrong, at the end and at any end before."""
    verdict = Verdict()
    judge_doubts(verdict, sends, ends, finding(final))
    assert verdict.wrong


@pytest.mark.parametrize(("copies", "doubts", "fine"), [(1, 0, True), (2, 1, True), (2, 0, False), (3, 1, False)])
def test_copies_need_doubts(copies: int, doubts: int, *, fine: bool) -> None:
    """No answer is seen more often than once and once for each doubt."""
    verdict = Verdict()
    judge_copies(verdict, [TEXT] * copies, finding(doubts))
    assert (verdict.wrong == []) == fine


@pytest.mark.parametrize(
    ("lives", "stored", "storm", "fine"),
    [
        ([1], 0, False, True),
        ([1, 2], 1, False, True),  # the first answer died with its process
        ([1, 2], 0, False, False),  # asked again although an answer was stored
        ([1, 1], 1, False, False),
        ([1, 1, 1], 2, True, True),
        ([1, 1, 1, 1], 3, True, False),
    ],
)
def test_the_model_is_not_asked_for_nothing(lives: list[int], stored: int, *, storm: bool, fine: bool) -> None:
    """Never after an answer is stored; again only by another process, or by the rule for a model that fails."""
    verdict = Verdict()
    calls = [Asked(life, number, "c7 n1", None) for number, life in enumerate(lives)]
    judge_model(verdict, calls, Finding([], answers={("bot00", 1): f"c7 n1 #{stored}"}), storm=storm)
    assert (verdict.wrong == []) == fine
    assert verdict.asked_again == len(lives) - 1
