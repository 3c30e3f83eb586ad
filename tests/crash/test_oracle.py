"""The oracle of the campaigns sees what it is there to see: losses, repeats, disorder, doubts counted wrongly, waste."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.chaos.autopsy import Finding, Row
from tests.chaos.verdict import (
    Verdict,
    judge_chat,
    judge_copies,
    judge_doubts,
    judge_model,
    judge_outcomes,
    pardoned,
)
from tests.chaos.witness import Asked, SendRequest
from tests.chaos.words import APOLOGY, question, told_apart

ROW: Row = ("bot00", 1)
TEXT = "c7 n1 #1"


def chat(said: int, *heard: str, pardons: Sequence[int] = ()) -> Verdict:
    verdict = Verdict()
    texts = [f"c7 n{text} #0" if text.isdigit() else text for text in heard]
    judge_chat(verdict, 7, said, texts, {question(7, number) for number in pardons})
    return verdict


@pytest.mark.parametrize(
    ("said", "heard", "pardons", "twice", "apologies"),
    [
        (0, "", [], 0, 0),
        (3, "1 2 3", [], 0, 0),
        (3, "1 2 2 2 3", [], 2, 0),
        (3, "1 sorry 3", [2], 0, 1),
        (3, "1 sorry sorry 3", [2], 1, 1),
        (3, "1 2 sorry", [3], 0, 1),
        (2, "sorry sorry sorry", [1, 2], 1, 2),
        (4, "1 sorry 4", [2, 3], 0, 1),  # once until there is an answer again
        (3, "1 2 3", [2], 0, 0),  # by another life
    ],
)
def test_a_chat_in_order(said: int, heard: str, pardons: list[int], twice: int, apologies: int) -> None:
    """Repeats, and apologies where the model failed, are counted; nothing is wrong with them here."""
    verdict = chat(said, *heard.split(), pardons=pardons)
    assert (verdict.wrong, verdict.twice, verdict.apologies, verdict.said) == ([], twice, apologies, said)


@pytest.mark.parametrize(
    ("said", "heard", "pardons", "complaint"),
    [
        (3, "1 3", [], "1 of the messages 2-2 are lost"),
        (3, "1", [], "2 of the messages 2-3 are lost"),
        (1, "", [], "1 of the messages 1-1 are lost"),
        (4, "1 sorry 4", [2], "1 of the messages 2-3 are lost"),
        (3, "1 3", [2], "1 of the messages 2-2 are lost"),  # not even an apology
        (3, "1 sorry 3", [], "for no fault of the model"),
        (2, "1 sorry 2", [1], "for no fault of the model"),
        (2, "1 2 sorry", [2], "for no fault of the model"),
        (3, "1 3 2", [], "answer 2 came after answer 3"),
        (2, "1 2 1", [], "answer 1 came after answer 2"),
        (1, "1 c8_n1_#0", [], "is not for it"),
    ],
)
def test_a_chat_that_was_wronged(said: int, heard: str, pardons: list[int], complaint: str) -> None:
    """A loss, an apology for nothing, a late answer, somebody else's answer."""
    wrong = chat(said, *[text.replace("_", " ") for text in heard.split()], pardons=pardons).wrong
    assert any(complaint in text for text in wrong), wrong


def test_a_fleet_that_only_apologises() -> None:
    """Nothing in calm allows an apology: each chat is wronged."""
    verdict = Verdict()
    for chat_id in range(200):
        judge_chat(verdict, chat_id, 50, [APOLOGY] * 50, pardoned([]))
    assert len([text for text in verdict.wrong if "50 of the messages 1-50 are lost" in text]) == 200
    assert verdict.apologies == 0


@pytest.mark.parametrize(
    ("calls", "pardon"),
    [
        ([(1, True), (1, True), (1, True)], True),
        ([(1, True), (1, True), (1, False)], False),
        ([(1, True), (1, True), (2, True)], False),
        ([], False),
    ],
)
def test_what_excuses_an_apology(calls: list[tuple[int, bool]], *, pardon: bool) -> None:
    """Only that one life asked as often as it may, and a fault befell each of its questions."""
    asked = [Asked(life, number, question(7, 1), None, struck=struck) for number, (life, struck) in enumerate(calls)]
    assert pardoned(asked) == ({question(7, 1)} if pardon else set())


@pytest.mark.parametrize(
    ("outcomes", "stored", "pardons", "fine"),
    [
        ({"answered": 2}, 2, [], True),
        ({"answered": 1, "failed": 1}, 1, [2], True),
        ({"answered": 1, "failed": 1}, 1, [], False),
        ({"failed": 2}, 0, [2], False),
        ({"answered": 1, "ignored": 1}, 1, [2], False),
        ({"answered": 1}, 1, [], False),
        ({"answered": 3}, 3, [], False),
        ({"answered": 2}, 1, [], False),  # sent, and not remembered
    ],
)
def test_the_inbox_has_what_was_said(outcomes: dict[str, int], stored: int, pardons: list[int], *, fine: bool) -> None:
    """Two messages were said: each is answered and its answer stored, or it failed for a reason."""
    verdict = Verdict()
    answers = {("bot00", number): f"c7 n{number} #0" for number in range(stored)}
    judge_outcomes(verdict, 2, Finding([], outcomes=outcomes, answers=answers), {question(7, n) for n in pardons})
    assert (verdict.wrong == []) == fine


def finding(ambiguous: int, text: str = TEXT, *, on_its_way: bool = False) -> Finding:
    return Finding([], {ROW} if on_its_way else set(), {ROW: ambiguous}, {ROW: text}, {"bot00": ambiguous})


def request(life: int, outcome: str = "ok", text: str = TEXT, chat_id: int = 7) -> SendRequest:
    return SendRequest(life, "bot00", chat_id, text, taken=True, outcome=outcome)


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


@pytest.mark.parametrize(
    ("chat_id", "complaints"), [(7, []), (8, ["after end 1: counted 1, the double saw 0", ": counted 1 doubts"])]
)
def test_doubts_of_apologies_are_held_to_their_chat(chat_id: int, complaints: list[str]) -> None:
    """All apologies read the same, yet a doubt of one is not that of another chat's, at an end as in sum."""
    verdict, sorry = Verdict(), told_apart(APOLOGY, 7)
    sends = [request(1, "doubt", APOLOGY, chat_id), request(2, text=APOLOGY)]
    judge_doubts(verdict, sends, [finding(1, sorry)], finding(1, sorry))
    assert len(verdict.wrong) == len(complaints)
    assert all(any(complaint in text for text in verdict.wrong) for complaint in complaints)


def test_doubts_of_two_apologies_in_a_chat() -> None:
    """They are counted together."""
    sorry = told_apart(APOLOGY, 7)
    rows: list[Row] = [("bot00", 1), ("bot00", 2)]
    found = Finding([], {rows[1]}, {rows[0]: 1, rows[1]: 0}, dict.fromkeys(rows, sorry), {"bot00": 1})
    final = Finding([], set(), {rows[0]: 1, rows[1]: 1}, dict.fromkeys(rows, sorry), {"bot00": 2})
    sends = [request(1, "doubt", APOLOGY), request(1, text=APOLOGY), request(2, text=APOLOGY)]
    verdict = Verdict()
    judge_doubts(verdict, sends, [found], final)
    assert (verdict.wrong, verdict.doubts.at_ends) == ([], 1)


@pytest.mark.parametrize(("copies", "doubts", "fine"), [(1, 0, True), (2, 1, True), (2, 0, False), (3, 1, False)])
def test_copies_need_doubts(copies: int, doubts: int, *, fine: bool) -> None:
    """No answer is seen more often than once and once for each doubt."""
    verdict = Verdict()
    judge_copies(verdict, {7: [TEXT] * copies}, finding(doubts))
    assert (verdict.wrong == []) == fine


@pytest.mark.parametrize(
    ("copies", "pardons", "doubts", "fine"),
    [(0, 0, 0, True), (1, 0, 0, False), (1, 1, 0, True), (2, 1, 0, False), (2, 1, 1, True), (2, 2, 0, True)],
)
def test_copies_of_apologies_need_reasons(copies: int, pardons: int, doubts: int, *, fine: bool) -> None:
    """One for each pardoned message of that chat and one for each doubt, and not for those of another."""
    verdict = Verdict()
    pardoned = {question(7, number) for number in range(pardons)} | {question(70, 1)}
    judge_copies(verdict, {7: [APOLOGY] * copies}, finding(doubts, told_apart(APOLOGY, 7)), pardoned)
    assert (verdict.wrong == []) == fine


@pytest.mark.parametrize(
    ("calls", "stored", "fine"),
    [
        ("1", 0, True),
        ("1 2", 1, True),  # the first answer died with its process
        ("1 2", 0, False),  # asked again although an answer was stored
        ("1 1", 1, False),  # without a fault
        ("1! 1", 1, True),
        ("1! 1! 1", 2, True),
        ("1! 1 1", 2, False),
        ("1! 1! 1! 1", 3, False),
        ("1! 2 2", 2, False),  # the fault befell another process
        ("1! 1! 1!", None, True),  # as often as it may, and an apology then
        ("1! 1!", None, False),
        ("1", None, False),
        ("", 0, False),
    ],
)
def test_the_model_is_not_asked_for_nothing(calls: str, stored: int | None, *, fine: bool) -> None:
    """Until an answer is stored and never after; again only by another process, or after a fault (!) of the model."""
    verdict = Verdict()
    lives = [(int(call[0]), call.endswith("!")) for call in calls.split()]
    asked = [Asked(life, number, "c7 n1", None, struck=struck) for number, (life, struck) in enumerate(lives)]
    answers = {} if stored is None else {("bot00", 1): f"c7 n1 #{stored}"}
    judge_model(verdict, asked, Finding([], answers=answers))
    assert (verdict.wrong == []) == fine
    assert verdict.asked_again == max(0, len(lives) - 1)
