"""Charts: every value at its place, axes that can be read, never beyond the room there is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from console.tui.panels.metrics import SPANS
from console.tui.widgets.chart import Line, ceiling, plot, sampled
from console.tui.widgets.chat import said

PLAIN = Style()


def drawn(values: list[float | None], width: int = 30, height: int = 6, glyphs: str = "braille") -> list[str]:
    lines = plot(
        [Line("x", values, PLAIN)],
        width=width,
        height=height,
        label=lambda v: f"{v:g}",
        ends=("then", "now"),
        glyphs=glyphs,
    )
    return [line.plain for line in lines]


@given(
    st.lists(st.one_of(st.none(), st.floats(0, 1e9)), max_size=200),
    st.integers(1, 120),
    st.integers(1, 30),
    st.sampled_from(["braille", "blocks", "ascii"]),
)
def test_a_chart_keeps_to_its_room(values: list[float | None], width: int, height: int, glyphs: str) -> None:
    """At most as many lines as there are, none wider than the room (a gutter of four cells is the least)."""
    lines = drawn(values, width, height, glyphs)
    assert len(lines) <= height
    assert all(len(line) <= max(width, 6) for line in lines)


def test_a_rising_line_rises() -> None:
    """Low at the left, high at the right, the top of the axis at a round number above it."""
    lines = drawn([float(n) for n in range(40)], width=24, height=8)
    assert lines[0].startswith("40┤")
    assert lines[3].startswith("20┤")
    assert lines[6].lstrip().startswith("0┤")
    assert lines[7].strip().startswith("╵then")
    assert lines[7].rstrip().endswith("now")
    assert lines[0][-1] > "\u2800"
    assert lines[0][4] == " "
    assert lines[6][4] > "\u2800"


def test_what_is_not_known_is_not_drawn() -> None:
    """A gap is a gap, not a zero."""
    whole = "".join(drawn([5.0] * 10 + [None] * 10 + [5.0] * 10, width=33))
    assert any("\u2800" < sign < "\u2900" for sign in whole)
    empty = "".join(drawn([None] * 30, width=33))
    assert not any("\u2800" < sign < "\u2900" for sign in empty)


def test_axes_end_at_round_numbers() -> None:
    """At or above the highest value, less than twice as high."""
    for value in (0.001, 0.0123, 0.9, 1.0, 7.7, 10.0, 99.0, 12345.0):
        assert value <= ceiling(value) * (1 + 1e-9) < 2 * value + 1e-9
    assert ceiling(0) == ceiling(float("nan")) == 1.0


def test_peaks_survive_a_narrow_room() -> None:
    """Of values that fall together the highest is drawn: an incident of a minute is seen in a week."""
    values: list[float | None] = [1.0] * 1000
    values[500] = 50.0
    assert max(v for v in sampled(values, 10) if v is not None) == 50.0
    assert sampled([], 3) == [None, None, None]
    assert [span.length_s // span.step_s for span in SPANS] == [60, 144, 168]


def test_a_chat_names_days_and_spares_the_terminal() -> None:
    """A line between days; what strangers wrote cannot steer a terminal, nor be taken for markup."""
    message = {"seq": 1, "role": "user", "text": "[bold]x[/] \x1b]0;t\x07\nsecond", "at": 0.0}
    answer = {
        "seq": 2,
        "role": "assistant",
        "text": "y",
        "at": 90_000.0,
        "model": "m\x1b",
        "tokens_in": 1,
        "tokens_out": 2,
        "latency_ms": 5,
    }
    text = said([message, answer], "poet").plain
    assert "\x1b" not in text
    assert "[bold]x[/]" in text
    assert text.count("──") == 4
    assert "1 → 2 tokens" in text
