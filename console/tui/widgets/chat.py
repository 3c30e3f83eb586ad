"""A conversation as a chat: who said what when, what it cost, what went wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from console.tui import words

if TYPE_CHECKING:
    from textual.app import ComposeResult

INDENT: Final = "  "


class ChatView(VerticalScroll):
    """Messages from top to bottom, the newest at the bottom; asks for older ones when the top is reached.

    older() is called, at most once until `show` or `prepend` answers, when somebody scrolls to the top.
    """

    DEFAULT_CSS = """
    ChatView { padding: 0 1; }
    ChatView > Static { height: auto; }
    ChatView > #growing { display: none; }
    """
    can_focus = True

    def __init__(
        self, bot_id: str, *, person: str = "person", older: Callable[[], None] | None = None, id: str | None = None
    ) -> None:
        super().__init__(id=id)
        self._bot_id = bot_id
        self._person = person
        self._older = older
        self._messages: list[Any] = []
        self._more = False
        self._asked = False
        self._empty = "Nothing has been said yet."

    @property
    def first_seq(self) -> int | None:
        """The number of the oldest message shown."""
        return int(self._messages[0]["seq"]) if self._messages else None

    def compose(self) -> ComposeResult:
        """One text holds everything: a thousand widgets would be slower and tell no more. What grows is below it."""
        yield Static(id="said", markup=False)
        yield Static(id="growing", markup=False)

    def show(self, messages: Sequence[Any], *, more: bool = False, empty: str = "") -> None:
        """Show messages (rows of Control.messages), scrolled to the end; more: there are older ones."""
        self._messages, self._more, self._asked = list(messages), more, False
        self._empty = empty or self._empty
        self._draw()
        self.scroll_end(animate=False)

    def append(self, *messages: Any) -> None:
        """Show messages said just now."""
        self._messages += messages
        self._draw()
        self.scroll_end(animate=False)

    def grow(self, messages: Sequence[Any]) -> None:
        """Show messages that are still being made below the others; only they are drawn. Who reads above is not moved."""
        at_end = self.is_vertical_scroll_end
        growing = self.query_one("#growing", Static)
        growing.display = bool(messages)
        text = said(messages, self._bot_id, self._person, today=self._day)
        growing.update(Text("\n").append_text(text) if messages else text)
        if at_end:
            self.scroll_end(animate=False)

    @property
    def _day(self) -> date | None:
        """The day the last message was said."""
        return _day(self._messages[-1]["at"]) if self._messages else None

    def prepend(self, messages: Sequence[Any], *, more: bool) -> None:
        """Show older messages above; what was in view stays in view."""
        before = self.virtual_size.height
        self._messages[:0] = messages
        self._more, self._asked = more, False
        self._draw()
        self.call_after_refresh(lambda: self.scroll_to(y=self.virtual_size.height - before, animate=False))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for older messages at the top."""
        super().watch_scroll_y(old_value, new_value)
        if new_value <= 0 < old_value and self._more and not self._asked and self._older is not None:
            self._asked = True
            self._older()

    def _draw(self) -> None:
        text = said(self._messages, self._bot_id, self._person) if self._messages else Text(self._empty, style="dim")
        if self._more:
            text = Text("… scroll up for older messages\n\n", style="dim").append_text(text)
        self.query_one("#said", Static).update(text)


def said(messages: Sequence[Any], bot_id: str, person: str = "person", *, today: date | None = None) -> Text:
    """Return messages as one text, a line for each day between them; today is the day of what stands before."""
    text = Text()
    for message in messages:
        day = _day(message["at"])
        if day != today:
            today = day
            text.append(f"── {day:%A %d %B %Y} ──\n\n", "dim")
        text.append_text(_message(message, bot_id if message["role"] == "assistant" else person)).append("\n\n")
    text.rstrip()
    return text


def _message(message: Any, who: str) -> Text:
    by_bot = message["role"] == "assistant"
    text = Text(f"{words.clock(message['at'])} ", "dim")
    text.append(who, "bold cyan" if by_bot else "bold")
    text.append(f"{_cost(message) if by_bot else ''}\n", "dim")
    for tool in message.get("tools") or ():
        text.append(f"{INDENT}{words.one_line(tool)}\n", "dim italic")
    for line in message["text"].split("\n"):
        text.append(f"{INDENT}{words.visible(line)}\n")
    if message.get("error"):
        text.append(f"{INDENT}! {words.one_line(message['error'])}\n", "bold red")
    text.rstrip()
    return text


def _cost(message: Any) -> str:
    """Return what an answer took, as far as it is known: "  ·  model  ·  312 → 48 tokens  ·  0.8s"."""
    parts = [words.visible(message.get("model") or "")]
    if message.get("tokens_in") or message.get("tokens_out"):
        parts.append(f"{words.count(message['tokens_in'])} → {words.count(message['tokens_out'])} tokens")
    if message.get("latency_ms"):
        parts.append(words.seconds(message["latency_ms"] / 1000))
    return "".join(f"  ·  {part}" for part in parts if part)


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, tz=UTC).astimezone().date()
