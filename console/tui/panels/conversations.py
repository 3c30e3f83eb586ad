"""A bot's conversations: the list, last spoken in first, and the chosen one as a chat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from config.errors import FleetError
from console.tui import underway, words
from console.tui.panels.called import with_tools
from console.tui.screen import console_of
from console.tui.widgets.chat import ChatView

if TYPE_CHECKING:
    from textual.app import ComposeResult

PAGE: Final = 50
MESSAGES: Final = 100
AGAIN_S: Final = 3.0
ANSWERING_S: Final = 1.0
"""How often it is asked who is being answered, while this is in front."""


class ConversationsPanel(Horizontal):
    """List and chat side by side; one above the other where there is no room.

    `look` brings both up to date, as often as the caller likes: it reads only when the bot has answered since.
    """

    DEFAULT_CSS = """
    ConversationsPanel > Vertical { width: 38; border-right: solid $panel; }
    ConversationsPanel Input { height: 1; border: none; padding: 0 1; }
    ConversationsPanel #answering { height: auto; max-height: 3; padding: 0 1; display: none; }
    ConversationsPanel OptionList, ConversationsPanel OptionList:focus { height: 1fr; border: none; padding: 0; background: transparent; }
    ConversationsPanel ChatView { width: 1fr; }
    ConversationsPanel.-wide > Vertical { width: 64; }
    ConversationsPanel.-narrow { layout: vertical; }
    ConversationsPanel.-narrow > Vertical { width: 100%; height: 40%; border-right: none; border-bottom: solid $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="conversations.search"),
    ]

    def __init__(self, bot_id: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._bot_id = bot_id
        self._rows: list[Any] = []
        self._listed = False
        self._more = False
        self._search = ""
        self._shown: tuple[str, str] | None = None
        self._turns = -1
        self._looked_at = 0.0
        self._asked_at = -ANSWERING_S
        self._answering: dict[tuple[str, str], Any] = {}

    def compose(self) -> ComposeResult:
        """Search above the list, the chat beside it."""
        with Vertical():
            yield Input(placeholder="/ search in what was said", id="search")
            yield Static(id="answering", markup=False)
            yield OptionList(id="conversations", markup=False)
        yield ChatView(self._bot_id, older=self._read_older)

    def on_resize(self) -> None:
        """One above the other in a narrow terminal."""
        self.set_class(self.size.width < 90, "-narrow")
        self.set_class(self.size.width >= 150, "-wide")
        self.call_after_refresh(self._take_rows, self._rows, more=self._more)

    def focus_first(self) -> None:
        """Put the cursor into the list."""
        self.query_one(OptionList).focus()

    def action_search(self) -> None:
        """Begin to type a search."""
        self.query_one(Input).focus()

    def look(self, turns: int) -> None:
        """Read anew when the bot's number of turns is another one than last time, and now and then.

        What operators say to a bot is no turn of its worker. Who is being answered is asked once a second.
        """
        now = console_of(self).clock.monotonic()
        if now - self._asked_at >= ANSWERING_S and console_of(self).link.can("answering"):
            self._asked_at = now
            self.run_worker(
                self._ask_answering(), name="answering", group="answering", exclusive=True, exit_on_error=False
            )
        if turns != self._turns or now - self._looked_at >= AGAIN_S:
            self._turns, self._looked_at = turns, now
            self.run_worker(self._read_list(), name="conversations", group="list", exclusive=True, exit_on_error=False)

    @on(Input.Submitted, "#search")
    def _take_search(self, event: Input.Submitted) -> None:
        self._search, self._turns, self._shown = event.value.strip(), -1, None
        self.look(-2)
        self.focus_first()

    @on(OptionList.OptionHighlighted, "#conversations")
    def _choose(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_index >= len(self._rows):
            return  # said of a list that has become shorter since
        key = _key(self._rows[event.option_index])
        if key != self._shown:
            self._shown = key
            self._read_shown()
        if self._more and event.option_index == len(self._rows) - 1:
            self.run_worker(self._read_more(), name="conversations", group="more", exclusive=True, exit_on_error=False)

    async def _read_list(self) -> None:
        rows = await self._ask_list(0.0)
        if rows is None:
            return
        before = {_key(row): row["messages"] for row in self._rows}
        self._listed = True
        self._take_rows(rows)
        self._show_unlisted()
        if not rows:
            nothing = f"Nobody said {self._search!r}." if self._search else "Nobody has written to this bot yet."
            self.query_one(ChatView).show([], empty=nothing)
        elif self._shown is not None and self._grown(before):
            self._read_shown()

    def _grown(self, before: dict[tuple[str, str], int]) -> bool:
        now = {_key(row): row["messages"] for row in self._rows}
        return self._shown is not None and now.get(self._shown) != before.get(self._shown)

    async def _read_more(self) -> None:
        rows = await self._ask_list(self._rows[-1]["updated_at"])
        if rows is not None:
            known = {_key(row) for row in self._rows}
            fresh = [row for row in rows if _key(row) not in known]
            self._take_rows([*self._rows, *fresh], more=len(rows) == PAGE)

    async def _ask_list(self, before: float) -> list[Any] | None:
        try:
            return list(
                await console_of(self).control.conversations(
                    self._bot_id, search=self._search, before=before, limit=PAGE
                )
            )
        except FleetError as error:
            self.query_one(ChatView).show([], empty=f"The conversations cannot be read: {error.message}")
            return None

    def _take_rows(self, rows: list[Any], *, more: bool | None = None) -> None:
        """Show a list; the cursor stays on the conversation it is on."""
        self._rows, self._more = rows, len(rows) == PAGE if more is None else more
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(self._line(row)) for row in rows])
        keys = [_key(row) for row in rows]
        if rows:
            options.highlighted = keys.index(self._shown) if self._shown in keys else 0

    async def _ask_answering(self) -> None:
        try:
            rows = await console_of(self).control.answering(self._bot_id)
        except FleetError:
            rows = []
        before, self._answering = self._answering, {_key(row): row for row in rows}
        if not before and not rows:
            return
        options = self.query_one(OptionList)
        for number, row in enumerate(self._rows[: options.option_count]):
            if _key(row) in before or _key(row) in self._answering:
                options.replace_option_prompt_at_index(number, self._line(row))
        self._show_unlisted()

    def _show_unlisted(self) -> None:
        """Say who is being answered and stands not in the list: whoever writes for the first time, or is not searched for."""
        listed = {_key(row) for row in self._rows}
        rows = [row for key, row in self._answering.items() if self._listed and key not in listed]
        line = self.query_one("#answering", Static)
        line.display = bool(rows)
        line.update(Text(f"{console_of(self).glyphs.writing} {underway.all_of(rows)}", "bold") if rows else "")

    def _line(self, row: Any) -> Text:
        now = console_of(self).now()
        who = "you" if row["operator"] else row["user_id"] or row["conversation_id"]
        said = "← " if row["last_role"] == "assistant" else "→ "
        width = max(30, self.query_one(OptionList).size.width - 5)
        name, answering = words.one_line(str(who)), self._answering.get(_key(row))
        if answering is None:
            more = f"  {words.ago(now - row['updated_at'])} ago · {row['messages']}"
            head = Text.assemble((words.clip(name, width - 12), "bold"), (more, "dim"))
        else:
            head = Text(words.clip(name, width // 3), "bold")
            doing = words.clip(underway.state(answering), width - head.cell_len - 4)
            head.append(f"  {console_of(self).glyphs.writing} {doing}")
        return head.append(f"\n{said}{words.clip(words.one_line(row['last_text']), width)}", "dim")

    def _read_shown(self) -> None:
        self.run_worker(self._read_messages(), name="conversation", group="chat", exclusive=True, exit_on_error=False)

    async def _read_messages(self) -> None:
        messages = await self._ask_messages(None)
        if messages is not None:
            self.query_one(ChatView).show(messages, more=len(messages) == MESSAGES)

    def _read_older(self) -> None:
        self.run_worker(self._read_above(), name="conversation", group="older", exclusive=True, exit_on_error=False)

    async def _read_above(self) -> None:
        chat = self.query_one(ChatView)
        messages = await self._ask_messages(chat.first_seq)
        if messages is not None:
            chat.prepend(messages, more=len(messages) == MESSAGES)

    async def _ask_messages(self, before_seq: int | None) -> list[Any] | None:
        if self._shown is None:
            return None
        try:
            control = console_of(self).control
            found = await control.messages(self._bot_id, *self._shown, before_seq=before_seq, limit=MESSAGES)
            return await with_tools(control, self._bot_id, found)
        except FleetError as error:
            self.query_one(ChatView).show([], empty=f"The conversation cannot be read: {error.message}")
            return None


def _key(row: Any) -> tuple[str, str]:
    return row["client_id"], row["conversation_id"]
