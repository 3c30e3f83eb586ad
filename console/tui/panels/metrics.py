"""A bot's figures over an hour, a day or a week, drawn as lines from what the store keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from textual.containers import Grid, Vertical
from textual.widgets import Static

from console.tui import words
from console.tui.widgets.chart import Chart, Line
from console.tui.widgets.series import RED, YELLOW, messages, scaled, times, tokens

if TYPE_CHECKING:
    from textual.app import ComposeResult


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time that can be looked at; step_s is how long one value of it lasts."""

    title: str
    length_s: int
    step_s: int
    left: str


SPANS: Final = (
    Span("1 h", 3600, 60, "1 h ago"),
    Span("24 h", 86_400, 600, "24 h ago"),
    Span("7 d", 604_800, 3600, "7 d ago"),
)


class MetricsPanel(Vertical):
    """Six charts; `show` brings what Control.series answered."""

    DEFAULT_CSS = """
    MetricsPanel > #span { height: 1; padding: 0 1; }
    MetricsPanel > Grid { grid-size: 2 3; grid-gutter: 1 2; padding: 0 1; }
    MetricsPanel.-narrow > Grid { grid-size: 1; grid-rows: 7; overflow-y: auto; }
    """
    can_focus = True

    def __init__(self, *, glyphs: str = "braille", id: str | None = None) -> None:
        super().__init__(id=id)
        self.span = SPANS[0]
        self._charts = {
            "messages": Chart("messages/min", words.rate, glyphs=glyphs),
            "turns": Chart("turn time", words.seconds, glyphs=glyphs),
            "errors": Chart("errors", words.count, glyphs=glyphs, empty="none"),
            "tokens": Chart("tokens/min", words.count, glyphs=glyphs),
            "model": Chart("model time", words.seconds, glyphs=glyphs),
            "inbox": Chart("inbox", words.count, glyphs=glyphs, empty="never a message waiting"),
        }

    def compose(self) -> ComposeResult:
        """Say which time is shown above the charts."""
        yield Static(id="span", markup=False)
        with Grid():
            yield from self._charts.values()

    def on_mount(self) -> None:
        """Name the span shown."""
        self._name_span()

    def on_resize(self) -> None:
        """One chart below the other where two do not fit side by side."""
        self.set_class(self.size.width < 100, "-narrow")

    def choose(self, span: Span) -> None:
        """Look at another stretch of time; the caller brings its figures."""
        self.span = span
        self._name_span()

    def show(self, series: Mapping[str, Any]) -> None:
        """Draw a series of the span chosen."""
        step_s = series["step_s"]
        names = series["names"]
        ends = (self.span.left, "now")
        per_min = 60 / step_s
        for name, lines in (
            ("messages", messages(names, per_min)),
            ("turns", times(names, "turn_s")),
            ("errors", (Line("errors", scaled(names, "errors", "count", 1.0), RED),)),
            ("tokens", tokens(names, per_min)),
            ("model", times(names, "model_s")),
            ("inbox", (Line("waiting", scaled(names, "inbox", "max", 1.0), YELLOW),)),
        ):
            self._charts[name].show(lines, ends)

    def _name_span(self) -> None:
        spans = "  ".join(f"[{span.title}]" if span is self.span else f" {span.title} " for span in SPANS)
        self.query_one("#span", Static).update(f"{spans}   ← → another span")
