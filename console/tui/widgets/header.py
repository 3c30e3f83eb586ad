"""The top of every screen: which fleet, how many bots in which phase, what it does at the moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import cell_len
from rich.text import Text
from textual.widget import Widget

from console.judgement import ORDER
from console.tui import words
from console.tui.link import LinkState
from console.tui.screen import ConsoleScreen, console_of

if TYPE_CHECKING:
    from console.control import LiveFleet
    from console.tui.app import ConsoleApp

LAG_MS: Final = 100.0
"""From this lag of the loop on, it is drawn as trouble."""


WIDE: Final = 150
"""From this width on there is room for whole words."""


class Header(Widget):
    """Two lines, and one more for what concerns the whole fleet, while something does."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"header--{name}" for name in ("fleet", "place", "good", "busy", "warn", "bad", "quiet", "label")
    }

    def __init__(self) -> None:
        super().__init__(id="header")
        self._lines: list[Text] = []
        self._drawn: list[Text] = []
        self._made: object = None
        """What the lines were made for: a second, a state of the link, a width."""
        self._roles: dict[str, str] = {}

    def update(self) -> None:
        """Draw again when something to be seen has changed; figures at most once a second."""
        lines = self._current()
        if lines is self._drawn:
            return
        before, self._drawn = self._drawn, lines
        if _alike(lines, before):
            return
        if self.styles.height is None or self.styles.height.value != len(lines):
            self.styles.height = len(lines)
        self.refresh()

    def render(self) -> Text:
        """Return the lines."""
        return Text("\n").join(self._current())

    def notify_style_update(self) -> None:
        """Take over another theme."""
        super().notify_style_update()
        self._roles.clear()
        self._made = None

    def _current(self) -> list[Text]:
        """Return the lines, made anew once a second."""
        app = console_of(self)
        made = (int(app.clock.monotonic()), app.link.state, self.size.width)
        if made != self._made:
            self._made = made
            trouble = self._trouble(app.model.fleet)
            self._lines = [self._first(app), self._second(app.model.fleet), *([trouble] if trouble else [])]
        return self._lines

    def _first(self, app: ConsoleApp) -> Text:
        fleet = app.model.fleet
        left = Text(no_wrap=True, overflow="ellipsis")
        left.append(words.visible(fleet["name"]) if fleet else "botdeck", self._style("fleet"))
        left.append(f" {'ATTACHED' if app.attached else 'LOCAL'}", self._style("place"))
        if app.readonly:
            left.append(" READ ONLY", self._style("warn"))
        if isinstance(self.screen, ConsoleScreen) and self.screen.where():
            left.append(f"  {self.screen.where()}", self._style("label"))
        right = self._right(app)
        left.append("  ")
        phases = self._phases(fleet, app, self.size.width - cell_len(left.plain) - cell_len(right.plain))
        return left + phases + right

    def _phases(self, fleet: LiveFleet | None, app: ConsoleApp, width: int) -> Text:
        """Return how many bots are in which phase; where room is short the calmest lose their words first."""
        counts = fleet["phases"] if fleet else {}
        known = [phase for phase in ORDER if counts.get(phase)]
        phases = [*(phase for phase in counts if phase not in set(ORDER)), *known]
        for worded in range(len(phases), -1, -1):
            text = Text("" if phases or not fleet else "no bots")
            for number, phase in enumerate(phases):
                glyph, word = app.glyphs.phases.get(phase, app.glyphs.unknown), f" {words.visible(phase)}"
                told = f"{glyph} {counts[phase]}{word if number < worded else ''}  "
                text.append(told, self._style(words.phase_role(phase)))
            if cell_len(text.plain) <= width:
                break
        text.truncate(max(0, width), overflow="ellipsis", pad=True)
        return text

    def _right(self, app: ConsoleApp) -> Text:
        if app.link.state is LinkState.LOADING:
            return Text("connecting …", self._style("busy"))
        if not app.link.live:
            return Text(f"NO LINK, data {words.ago(app.link.age_s)} old", self._style("bad"))
        return Text(words.clock(app.now()), self._style("quiet"))

    def _second(self, fleet: LiveFleet | None) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        if fleet is None:
            return text
        figures = fleet["figures"]
        errors, lag = figures["errors_1h"], figures["loop_lag_ms"]
        for label, short, value, role in (
            ("messages a minute", "msg/min", words.rate(figures["per_min"]), ""),
            ("95 % of turns within", "p95", words.seconds(figures["turn_p95_s"]), ""),
            ("errors in the last hour", "errors 1h", words.count(errors), "bad" if errors else ""),
            ("tokens today", "tokens", words.count(figures["tokens_today"]), ""),
            ("cost today", "cost", words.money(figures["cost_today"]), ""),
            (
                "loop lag",
                "lag",
                words.seconds(None if lag is None else lag / 1000),
                "warn" if (lag or 0) >= LAG_MS else "",
            ),
        ):
            text.append(f"{label if self.size.width >= WIDE else short} ", self._style("label"))
            text.append(f"{value}   ", self._style(role) if role else "")
        return text

    def _trouble(self, fleet: LiveFleet | None) -> Text | None:
        """Return what concerns the fleet as a whole, the worst first."""
        if fleet is None:
            return None
        if fleet["store_fault"]:
            return self._alarm(f"the database refuses writes, no message is taken: {fleet['store_fault']}")
        if fleet["outage"]:
            return self._alarm(fleet["outage"])
        if fleet["held"]:
            return self._alarm("half of the fleet fails alike: nothing is counted, the cause is outside")
        if fleet["config_errors"]:
            return self._alarm(
                f"fleet.toml: the last edit was refused, the one before runs: {fleet['config_errors'][0]}"
            )
        return None

    def _alarm(self, text: str) -> Text:
        return Text(f"! {words.one_line(text)}", self._style("bad"), no_wrap=True, overflow="ellipsis")

    def _style(self, role: str) -> str:
        style = self._roles.get(role)
        if style is None:
            style = self._roles[role] = str(self.get_component_rich_style(f"header--{role}", partial=True))
        return style


def _alike(lines: list[Text], before: list[Text]) -> bool:
    return [(line.plain, line.spans) for line in lines] == [(line.plain, line.spans) for line in before]
