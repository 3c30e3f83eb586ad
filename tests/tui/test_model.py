"""The fleet as the console knows it: frames in, an ordered, filtered, marked list out."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from config.vocabulary import Phase
from console.tui.columns import COLUMNS, WORST
from console.tui.model import FleetModel
from tests.tui.frames import condition, frame, row


def model_of(*rows: object) -> FleetModel:
    model = FleetModel()
    assert model.apply(frame(*rows))
    return model


def test_who_needs_a_person_stands_on_top() -> None:
    """Without being asked the list is worst first, by id where two are alike."""
    model = model_of(
        row("fine"),
        row("also-fine"),
        row("resting", Phase.STOPPED),
        row("again", Phase.BACKOFF),
        row("worst", Phase.QUARANTINED),
        row("doubled", conditions={"token_in_use": condition(True)}),
    )
    assert model.index == ["worst", "again", "doubled", "also-fine", "fine", "resting"]


def test_deltas_change_rows_and_only_a_settled_list_moves() -> None:
    """A frame changes what is known at once; the order waits for `settle`, so that nothing jumps under a cursor."""
    model = model_of(row("a"), row("b"))
    assert model.apply(frame(row("b", Phase.QUARANTINED), rev=1, full=False))
    assert model.rows["b"]["phase"] == Phase.QUARANTINED
    assert model.index == ["a", "b"]
    assert model.settle()
    assert model.index == ["b", "a"]
    assert not model.settle()


def test_the_list_is_sorted_anew_only_for_what_it_goes_by() -> None:
    """Worst first goes by phase and trouble; another order, and a filter, by anything of a row."""
    model = model_of(row("a"), row("b"))
    model.apply(frame(row("b", inbox_open=9), rev=1, full=False))
    assert not model._stale
    model.order_by("inbox")
    model.apply(frame(row("a", inbox_open=99), rev=2, full=False))
    assert model.settle()
    assert model.index == ["a", "b"]
    model.order_by(WORST)
    model.narrow("is:paused")
    model.apply(frame(row("b", paused=True), rev=3, full=False))
    assert model.settle()
    assert model.index == ["b"]


def test_bots_that_are_gone_leave_list_and_marks_at_once() -> None:
    """Nothing can be done to a bot that is no more."""
    model = model_of(row("a"), row("b"))
    model.mark(["a", "b"])
    model.apply(frame(rev=1, full=False, gone=("a",)))
    assert (model.index, model.marked()) == (["b"], ["b"])


def test_a_delta_of_another_fleet_is_refused() -> None:
    """After a restart, or a step back, only a full frame is taken."""
    model = model_of(row("a"))
    assert not model.apply(frame(row("x"), rev=5, full=False, start_id="other"))
    assert not model.apply(frame(row("x"), rev=0, full=False))
    assert model.index == ["a"]
    assert model.apply(frame(row("x"), rev=0, start_id="other"))
    assert model.index == ["x"]
    model.forget()
    assert not model.apply(frame(row("y"), rev=9, full=False, start_id="other"))


def test_sorting_keeps_bots_without_a_value_last_either_way() -> None:
    """A first sort by a figure puts the largest on top; what is not known stays below, reversed or not."""
    model = model_of(row("slow", figures={"turn_p95_s": 9.0}), row("none"), row("quick", figures={"turn_p95_s": 0.5}))
    model.order_by("p95")
    assert model.index == ["slow", "quick", "none"]
    model.order_by("p95", reverse=True)
    assert model.index == ["quick", "slow", "none"]
    model.order_by("bot")
    assert model.index == ["none", "quick", "slow"]
    model.order_by("no such column")
    assert model.sort == WORST


def test_marks_survive_filter_and_sort() -> None:
    """A bot marked and then filtered away stays marked, and orders reach it."""
    model = model_of(row("shop"), row("poet"), row("support"))
    model.mark(["shop", "poet", "nobody"])
    model.narrow("support")
    assert model.index == ["support"]
    assert model.marked() == ["poet", "shop"]
    model.narrow("")
    model.order_by("bot", reverse=True)
    assert model.marked() == ["shop", "poet"]
    model.mark(["shop"], on=False)
    assert model.marked() == ["poet"]


def test_filter_language() -> None:
    """Words must all hold: text or expression, `!`, phase, condition, what is so of it."""
    model = model_of(
        row("shop-eu", telegram={"username": "Laden_bot"}),
        row("shop-us", Phase.BACKOFF),
        row("poet", paused=True, conditions={"throttled": condition(True, "retry after 3 s")}),
        row("quiet", conditions={"polling": condition(False)}),
    )
    model.mark(["poet"])
    for text, shown in {
        "shop": ["shop-us", "shop-eu"],
        "SHOP !us": ["shop-eu"],
        "laden": ["shop-eu"],
        "^shop-(eu|us)$": ["shop-us", "shop-eu"],
        "shop-(": [],
        "phase:back": ["shop-us"],
        "!phase:running": ["shop-us"],
        "cond:throttled": ["poet"],
        "cond:polling": ["shop-us", "quiet"],
        "is:marked": ["poet"],
        "is:paused": ["poet"],
        "is:trouble": ["shop-us", "poet", "quiet"],
        "is:nothing": [],
        "": ["shop-us", "poet", "quiet", "shop-eu"],
    }.items():
        model.narrow(text)
        assert model.index == shown, text


@given(st.lists(st.sampled_from(["mark", "sort", "narrow", "frame", "gone", "settle"]), max_size=30), st.randoms())
def test_the_list_is_always_made_of_known_bots(steps: list[str], chance: random.Random) -> None:
    """Whatever comes in whatever order: each bot listed once, known, and passing the filter once settled."""
    model, names = FleetModel(), [f"b{n}" for n in range(8)]
    model.apply(frame(*map(row, names)))
    for rev, step in enumerate(steps, 1):
        some = chance.sample(names, 3)
        if step == "mark":
            model.mark(some, on=chance.random() < 0.7)
        elif step == "sort":
            model.order_by(chance.choice([WORST, *COLUMNS]), reverse=chance.random() < 0.5)
        elif step == "narrow":
            model.narrow(chance.choice(["", "b[0-3]", "!phase:running", "is:marked"]))
        elif step == "frame":
            model.apply(frame(*(row(n, chance.choice(list(Phase))) for n in some), rev=rev, full=False))
        elif step == "gone":
            model.apply(frame(rev=rev, full=False, gone=tuple(some)))
        else:
            model.settle()
        assert len(set(model.index)) == len(model.index)
        assert set(model.index) <= model.rows.keys()
        assert model.marks <= model.rows.keys()
    model.settle()
    passing = {b for b, each in model.rows.items() if model.filter.passes(each, model.marks)}
    assert set(model.index) == passing
