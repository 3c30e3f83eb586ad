"""Try it: talk to a bot from the console, in a conversation of the operator's own."""

from __future__ import annotations

import secrets
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Footer, Input, Static

from config.errors import FleetError
from console.errors import NoFleet
from console.tui import words
from console.tui.deeds import actor
from console.tui.screen import ConsoleScreen
from console.tui.underway import Growing, message
from console.tui.widgets.chat import ChatView
from console.tui.widgets.header import Header

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.control import Said


class TryScreen(ConsoleScreen):
    """A chat with one bot. Nothing of it reaches Telegram; every question is a turn by the configuration as it is now."""

    DEFAULT_CSS = """
    TryScreen #about { height: auto; padding: 0 1; color: $text-muted; }
    TryScreen ChatView { height: 1fr; }
    TryScreen #state { height: 1; padding: 0 1; }
    TryScreen Input, TryScreen Input:focus { height: 1; border: none; padding: 0 1; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", id="try.back"),
        Binding("ctrl+n", "anew", "Begin anew", id="try.anew"),
        Binding("ctrl+r", "again", "Ask again", id="try.again"),
    ]

    def __init__(self, bot_id: str) -> None:
        super().__init__()
        self._bot_id = bot_id
        self._session = secrets.token_hex(4)
        self._growing: list[Growing] = []
        """Answers under way, in the order they were asked for."""
        self._last = ""

    def compose(self) -> ComposeResult:
        """The chat, what goes on, and the line to type in."""
        yield Header()
        with Vertical():
            yield Static(
                f"You talk to {self._bot_id} as it is configured now. This conversation is your own: Telegram does not see it.",
                id="about", markup=False,
            )  # fmt: skip
            yield ChatView(self._bot_id, person="you")
            yield Static(id="state", markup=False)
        yield Input(placeholder="write to the bot, Enter sends")
        yield Footer()

    def on_mount(self) -> None:
        """Begin with the line to type in."""
        self.query_one(ChatView).show(
            [], empty="Say something. After an edit of its prompt, Ctrl+R asks the same again."
        )
        self.query_one(Input).focus()

    def on_tick(self) -> None:
        """As ConsoleScreen.on_tick."""
        self.query_one(Header).update()
        self.grey()
        self._show_state()

    def targets(self) -> list[str]:
        """The bot talked to."""
        return [self._bot_id]

    def where(self) -> str:
        """Name the screen."""
        return f"try {self._bot_id}"

    def action_anew(self) -> None:
        """Begin a conversation of which the bot knows nothing. What was asked before is answered, and not shown here."""
        self.workers.cancel_group(self, "try")
        self._growing.clear()
        self._session = secrets.token_hex(4)
        self.query_one(ChatView).show([], empty="A new conversation: the bot knows nothing of the one before.")
        self._show_growing()

    def action_again(self) -> None:
        """Ask the last question again in a new conversation."""
        if self._last and self._linked():
            last = self._last
            self.action_anew()
            self._send(last)

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if text and self._linked():
            event.input.value = ""
            self._send(text)

    def _linked(self) -> bool:
        """Tell whether the fleet can be asked; else say so, and leave what was typed."""
        link = self.console.link
        if not link.live:
            self.console.complain("There is no link to the fleet: nothing was sent", "what you typed stays")
        return link.live

    def _send(self, text: str) -> None:
        self._last = text
        self.query_one(ChatView).append(message("user", text, self.console.now()))
        self.run_worker(self._ask(text), name="try", group="try", exit_on_error=False)

    async def _ask(self, text: str) -> None:
        """Ask, and show the answer as it grows. The fleet answers it to the end, whoever leaves this screen."""
        growing = Growing(self.console.clock.monotonic())
        self._growing.append(growing)
        self._show_growing()
        try:
            await self._follow(growing, text)
        except FleetError as error:
            self._cut(growing, error)

    async def _follow(self, growing: Growing, text: str) -> None:
        frames = cast("Any", self.console.control.saying)(self._bot_id, text, session=self._session, actor=actor())
        async with aclosing(frames):
            async for frame in frames:
                growing.take(frame)
                if frame["said"] is not None:
                    self._end(growing, frame["said"])
                else:
                    self._show_growing()

    def _end(self, growing: Growing, said: Said) -> None:
        """Put the whole answer in the place of what grew."""
        answer = growing.message(self.console.now()) | {
            "text": said["text"],
            "latency_ms": int(said["latency_s"] * 1000),
        }
        answer |= {name: value for name, value in said.items() if name in {"model", "tokens_in", "tokens_out", "error"}}
        self._settle(growing, answer)

    def _cut(self, growing: Growing, error: FleetError) -> None:
        """Leave what there is of an answer that does not come, and say why."""
        lost = isinstance(error, NoFleet)
        what = f"{error.message}; a fleet that still runs answers it: see its conversations" if lost else error.message
        self._settle(growing, growing.message(self.console.now()) | {"error": what})
        if not lost:
            self.console.complain(error.message, error.hint)

    def _settle(self, growing: Growing, answer: dict[str, Any]) -> None:
        if growing in self._growing:
            self._growing.remove(growing)
            self.query_one(ChatView).append(answer)
        self._show_growing()

    def _show_growing(self) -> None:
        """Show what there is of the answers under way, and what goes on."""
        console = self.console
        self.query_one(ChatView).grow([each.message(console.now()) for each in self._growing if each.begun])
        self._show_state()

    def _show_state(self) -> None:
        now = self.console.clock.monotonic()
        state = f"{self._bot_id} {self._growing[0].state(now)}" if self._growing else ""
        if len(self._growing) > 1:
            state += f" · {words.plural(len(self._growing) - 1, 'question')} more"
        if not self.console.link.live:
            state = f"No link to the fleet: {words.one_line(self.console.link.reason or 'it is being looked for')}"
        self.query_one("#state", Static).update(state)
