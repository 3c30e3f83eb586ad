"""Try it: talk to a bot from the console, in a conversation of the operator's own."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Footer, Input, Static

from config.errors import FleetError
from console.tui import words
from console.tui.deeds import actor
from console.tui.screen import ConsoleScreen
from console.tui.widgets.chat import ChatView
from console.tui.widgets.header import Header

if TYPE_CHECKING:
    from textual.app import ComposeResult


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
        self._asked = 0
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

    def targets(self) -> list[str]:
        """The bot talked to."""
        return [self._bot_id]

    def where(self) -> str:
        """Name the screen."""
        return f"try {self._bot_id}"

    def action_anew(self) -> None:
        """Forget what was said here, as far as the bot is concerned."""
        self._session = secrets.token_hex(4)
        self.query_one(ChatView).show([], empty="A new conversation: the bot knows nothing of the one before.")

    def action_again(self) -> None:
        """Ask the last question again in a new conversation."""
        if self._last:
            last = self._last
            self.action_anew()
            self._send(last)

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        if text:
            event.input.value = ""
            self._send(text)

    def _send(self, text: str) -> None:
        self._last = text
        self.query_one(ChatView).append(_message("user", text, self.console.now()))
        self.run_worker(self._ask(text), name="try", group="try", exit_on_error=False)

    async def _ask(self, text: str) -> None:
        self._wait(+1)
        try:
            said = await self.console.control.say(self._bot_id, text, session=self._session, actor=actor())
        except FleetError as error:
            self.console.complain(error.message, error.hint)
        else:
            answer = _message("assistant", said["text"], self.console.now())
            answer |= {name: said[name] for name in ("model", "tokens_in", "tokens_out", "error")}
            self.query_one(ChatView).append(answer | {"latency_ms": int(said["latency_s"] * 1000)})
        finally:
            self._wait(-1)

    def _wait(self, change: int) -> None:
        self._asked += change
        state = f"{self._bot_id} is thinking about {words.plural(self._asked, 'message')} …" if self._asked else ""
        self.query_one("#state", Static).update(state)


def _message(role: str, text: str, at: float) -> dict[str, Any]:
    return {
        "seq": 0,
        "role": role,
        "text": text,
        "at": at,
        "model": "",
        "tokens_in": 0,
        "tokens_out": 0,
        "latency_ms": 0,
        "error": "",
    }
