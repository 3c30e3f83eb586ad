"""One bot: its overview, conversations, metrics, log, events, configuration, people and usage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import ContentSwitcher, Static

from config.errors import FleetError
from console.tui import words
from console.tui.actions import BINDINGS as ACTION_BINDINGS
from console.tui.panels.config import ConfigPanel
from console.tui.panels.conversations import ConversationsPanel
from console.tui.panels.metrics import SPANS, MetricsPanel
from console.tui.panels.overview import OverviewPanel
from console.tui.panels.people import PeoplePanel
from console.tui.panels.usage import UsagePanel
from console.tui.screen import ConsoleScreen
from console.tui.sources import EventSource, LogSource
from console.tui.widgets.chart import chart_glyphs
from console.tui.widgets.header import Header
from console.tui.widgets.key_line import KeyLine
from console.tui.widgets.log_pane import LogPane

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from console.control import AnsweringRow, LiveRow

IN_FOOTER: Final = frozenset({"bot.try", "bot.edit", "bot.restart"})
TABS: Final = ("overview", "conversations", "metrics", "logs", "events", "config", "people", "usage")
DETAILS_S: Final = 2.0
"""How often what the feed does not bring is asked for, while its panel is in front."""
ANSWERING_S: Final = 1.0
SERIES_S: Final = 15.0
ROOMY: Final = 90
"""From this width on the names of the panels stand apart."""


class BotScreen(ConsoleScreen):
    """The panels of one bot, one in front. What is in front is kept up to date, the others are not."""

    DEFAULT_CSS = """
    BotScreen #who { height: 1; padding: 0 1; background: $panel; }
    BotScreen #tabs { height: 1; padding: 0 1; }
    BotScreen ContentSwitcher { height: 1fr; }
    BotScreen ContentSwitcher > * { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", id="bot.back"),
        *(
            Binding(str(n), f"tab('{name}')", name.capitalize(), show=False, id=f"bot.tab_{name}")
            for n, name in enumerate(TABS, 1)
        ),
        Binding("left_square_bracket", "neighbour(-1)", "Bot before", show=False, id="bot.before"),
        Binding("right_square_bracket", "neighbour(1)", "Next bot", show=False, id="bot.next"),
        Binding("l", "tab('logs')", "Logs", show=False, id="bot.logs"),
        Binding("e", "tab('events')", "Events", show=False, id="bot.events"),
        Binding("c", "tab('config')", "Configuration", show=False, id="bot.config"),
        *(replace(binding, show=binding.id in IN_FOOTER) for binding in ACTION_BINDINGS),
    ]

    def __init__(self, bot_id: str, tab: str = "overview") -> None:
        super().__init__()
        self.bot_id = bot_id
        self._tab = tab if tab in TABS else TABS[0]
        self._details: dict[str, Any] | None = None
        self._answering: list[AnsweringRow] = []
        self._shown_config = -1
        self._asked_at: dict[str, float] = {}

    def compose(self) -> ComposeResult:
        """Who it is, the tabs, the panel in front, the keys."""
        yield Header()
        yield Static(id="who", markup=False)
        yield Static(id="tabs", markup=False)
        control = self.console.control
        with ContentSwitcher(initial=self._tab):
            yield OverviewPanel(id="overview")
            yield ConversationsPanel(self.bot_id, id="conversations")
            yield MetricsPanel(glyphs=chart_glyphs(self.console.memory), id="metrics")
            yield LogPane(LogSource(control, (self.bot_id,)), id="logs")
            yield LogPane(EventSource(control, (self.bot_id,)), id="events")
            yield ConfigPanel(id="config")
            yield PeoplePanel(self.bot_id, id="people")
            yield UsagePanel((self.bot_id,), id="usage")
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin with the panel asked for."""
        self.action_tab(self._tab)

    def targets(self) -> list[str]:
        """The bot shown."""
        return [self.bot_id]

    def person(self) -> str:
        """As ConsoleScreen.person: of the people, while they are in front."""
        return self.query_one(PeoplePanel).person if self._tab == "people" else ""

    def where(self) -> str:
        """Name the bot and the panel."""
        return f"{self.bot_id} {self._tab}"

    # --- keeping up --------------------------------------------------------------------------------------------

    def on_tick(self) -> None:
        """As ConsoleScreen.on_tick."""
        self.query_one(Header).update()
        row = self.console.model.rows.get(self.bot_id)
        self.query_one("#who", Static).update(self._who(row))
        if row is None:
            return
        if self._tab == "overview":
            self._show_overview()
            self._ask_now_and_then("details", DETAILS_S)
            if self.console.link.can("answering"):
                self._ask_now_and_then("answering", ANSWERING_S)
        elif self._tab == "conversations":
            self.query_one(ConversationsPanel).look(row["turns"])
        elif self._tab == "people":
            self.query_one(PeoplePanel).look()
        elif self._tab == "usage":
            self.query_one(UsagePanel).look()
        elif self._tab == "metrics":
            self._ask_now_and_then("series", SERIES_S)
        elif self._tab == "config" and self._shown_config != row["generation"]:
            self._shown_config = row["generation"]
            self._work("config")

    def _who(self, row: LiveRow | None) -> Text:
        if row is None:
            return Text(f"{self.bot_id} is not a bot of this fleet any more", "bold red")
        glyph = self.console.glyphs.phases.get(row["phase"], self.console.glyphs.unknown)
        username = (row["telegram"] or {}).get("username")
        text = Text(f"{glyph} {self.bot_id}", "bold")
        text.append(f"  @{words.one_line(username)}" if username else "", "dim")
        paused = " (paused)" if row["paused"] else ""
        text.append(f"  {row['phase']}{paused}")
        return text.append(f"  {words.one_line(row['phase_reason'])}" if row["phase_reason"] else "", "dim")

    def _ask_now_and_then(self, what: str, every_s: float) -> None:
        now = self.console.clock.monotonic()
        if now - self._asked_at.get(what, -every_s) >= every_s:
            self._asked_at[what] = now
            self._work(what)

    def _work(self, what: str) -> None:
        asking = {
            "details": self._read_details,
            "answering": self._read_answering,
            "series": self._read_series,
            "config": self._read_config,
        }[what]
        self.run_worker(asking(), name=what, group=what, exclusive=True, exit_on_error=False)

    async def _read_details(self) -> None:
        try:
            self._details = await self.console.control.bot(self.bot_id)
        except FleetError:
            return  # the header says what is wrong with the link; what was known stays
        self._show_overview()

    async def _read_answering(self) -> None:
        try:
            found = await self.console.control.answering(self.bot_id)
        except FleetError:
            found = []
        if found or self._answering:
            self._answering = found
            self._show_overview()

    def _show_overview(self) -> None:
        row = self.console.model.rows.get(self.bot_id)
        if row is not None:
            self.query_one(OverviewPanel).show(row, self._details, self.console.now(), self._answering)

    async def _read_series(self) -> None:
        panel, until = self.query_one(MetricsPanel), self.console.now()
        span = panel.span
        try:
            series = await self.console.control.series(
                self.bot_id, since=until - span.length_s, until=until, step_s=span.step_s
            )
        except FleetError:
            return
        if panel.span is span:
            panel.show(series)

    async def _read_config(self) -> None:
        row = self.console.model.rows.get(self.bot_id)
        panel, rejected = self.query_one(ConfigPanel), row["config_error"] if row else None
        try:
            panel.show(await self.console.control.config_show(self.bot_id), rejected=rejected)
        except FleetError as error:
            panel.show(None, rejected=rejected, why=error.message)

    # --- moving ------------------------------------------------------------------------------------------------

    def action_tab(self, name: str) -> None:
        """Put a panel in front."""
        self._tab = name
        self.query_one(ContentSwitcher).current = name
        self._show_tabs()
        self._asked_at.clear()
        self._focus_panel(self.query_one(f"#{name}"))
        self.on_tick()

    def on_resize(self) -> None:
        """Fit the names of the panels into the line."""
        self._show_tabs()

    def _show_tabs(self) -> None:
        blank = " " if self.size.width >= ROOMY else ""
        names = [
            (f"{blank}{n} {tab}{blank}", "reverse bold" if tab == self._tab else "dim") for n, tab in enumerate(TABS, 1)
        ]
        tabs = Text("" if blank else " ").join(Text(*name) for name in names)
        self.query_one("#tabs", Static).update(tabs)

    def _focus_panel(self, panel: Widget) -> None:
        if isinstance(panel, ConversationsPanel | PeoplePanel):
            panel.focus_first()
        elif isinstance(panel, LogPane):
            panel.focus_lines()
        else:
            panel.focus()

    def action_neighbour(self, step: int) -> None:
        """Show the bot before or after this one in the list."""
        index = self.console.model.index
        if self.bot_id in index and len(index) > 1:
            other = index[(index.index(self.bot_id) + step) % len(index)]
            self.app.switch_screen(BotScreen(other, self._tab))

    def key_left(self) -> None:
        """Look at a shorter time."""
        self._change_span(-1)

    def key_right(self) -> None:
        """Look at a longer time."""
        self._change_span(+1)

    def _change_span(self, step: int) -> None:
        if self._tab == "metrics":
            panel = self.query_one(MetricsPanel)
            number = SPANS.index(panel.span) + step
            if 0 <= number < len(SPANS):
                panel.choose(SPANS[number])
                self._work("series")
