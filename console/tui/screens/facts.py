"""What a bot knows of a person: facts the model is told, shown and put right."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from config.errors import FleetError
from console.tui import told, words
from console.tui.actions import PROFILE
from console.tui.deeds import actor
from console.tui.screen import ConsoleScreen
from console.tui.screens.sure import SureScreen
from console.tui.widgets.header import Header
from console.tui.widgets.key_line import KeyLine

if TYPE_CHECKING:
    from textual.app import ComposeResult


class FactsScreen(ConsoleScreen):
    """The facts in a list, read when it opens and after every change."""

    DEFAULT_CSS = """
    FactsScreen #known { height: auto; padding: 0 1; }
    FactsScreen OptionList, FactsScreen OptionList:focus { height: 1fr; border: none; padding: 0; background: transparent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", id="facts.back"),
        Binding("n", "add", "New fact", id="facts.add"),
        Binding("enter", "change", "Change", id="facts.change"),
        Binding("d,delete", "unset", "Delete", id="facts.unset"),
    ]

    def __init__(self, bot_id: str, user_id: str) -> None:
        super().__init__()
        self._bot_id = bot_id
        self._user_id = user_id
        self._facts: list[Any] = []

    def compose(self) -> ComposeResult:
        """Whose they are, and the facts."""
        yield Header()
        yield Static(Text("reading …", "dim"), id="known", markup=False)
        yield OptionList(markup=False)
        yield KeyLine()

    def on_mount(self) -> None:
        """Begin in the list."""
        self.query_one(OptionList).focus()
        self._work(None)

    def on_tick(self) -> None:
        """As ConsoleScreen.on_tick."""
        self.query_one(Header).update()

    def targets(self) -> list[str]:
        """The bot that knows."""
        return [self._bot_id]

    def person(self) -> str:
        """As ConsoleScreen.person."""
        return self._user_id

    def where(self) -> str:
        """Name the bot and the person."""
        return f"{self._bot_id} profile of {self._user_id}"

    # --- reading and writing -----------------------------------------------------------------------------------

    def _work(self, changes: dict[str, str | None] | None) -> None:
        self.run_worker(self._exchange(changes), name="profile", group="profile", exit_on_error=False)

    async def _exchange(self, changes: dict[str, str | None] | None) -> None:
        """Write changes down, if any, and show what is known then."""
        try:
            facts = await self.console.control.profile(self._bot_id, self._user_id, changes=changes, actor=actor())
        except FleetError as error:
            if changes:
                self.console.complain(f"profile of {self._user_id}: {error.message}", error.hint)
            else:
                self.query_one("#known", Static).update(
                    Text(f"The profile cannot be read: {error.message}", "bold red")
                )
            return
        if changes:
            self.console.say(f"profile of {self._user_id} changed")
        self._show(list(facts))

    def _show(self, facts: list[Any]) -> None:
        options = self.query_one(OptionList)
        before = options.highlighted or 0
        self._facts = facts
        text = Text(f"What {self._bot_id} knows of {self._user_id}", "bold")
        text.append("\nThe model is told these where [memory] profile is true. /forget deletes them.\n", "dim")
        if not facts:
            text.append("\nNothing is known. n writes a fact down.", "dim")
        self.query_one("#known", Static).update(text)
        options.clear_options()
        options.add_options([Option(_line(fact)) for fact in facts])
        options.highlighted = min(before, len(facts) - 1) if facts else None

    def _at_cursor(self) -> Any:
        number = self.query_one(OptionList).highlighted
        return self._facts[number] if number is not None and number < len(self._facts) else None

    # --- orders ------------------------------------------------------------------------------------------------

    def _refused(self) -> bool:
        refusal = self.console.refusal(PROFILE)
        if refusal:
            self.console.complain(f"{PROFILE.title}: {refusal}")
        return bool(refusal)

    def action_add(self) -> None:
        """Write a fact down."""
        self._ask("")

    @on(OptionList.OptionSelected)
    def action_change(self) -> None:
        """Write another value down."""
        fact = self._at_cursor()
        if fact is not None:
            self._ask(f"{fact['fact']} = {fact['value']}")

    def _ask(self, text: str) -> None:
        if not self._refused():
            hint = f"The model is told of {self._user_id} what is written here, as it stands."
            ask = SureScreen(
                f"A fact about {self._user_id}", hint, "Write down", text=text, asks="name = value", wrong=_wrong
            )
            self.app.push_screen(ask, self._written)

    def _written(self, typed: str | None) -> None:
        if typed is not None:
            name, _, value = typed.partition("=")
            self._work({name.strip(): value.strip()})

    def action_unset(self) -> None:
        """Delete the fact the cursor is at."""
        fact = self._at_cursor()
        if fact is not None and not self._refused():
            ask = SureScreen(f"Delete {fact['fact']}?", f"{fact['fact']} = {fact['value']}", "Delete")
            self.app.push_screen(ask, partial(self._deleted, fact["fact"]))

    def _deleted(self, name: str, yes: str | None) -> None:
        if yes is not None:
            self._work({name: None})


def _wrong(text: str) -> str:
    name, sign, value = text.partition("=")
    return "" if name.strip() and sign and value.strip() else "name = value, such as city = Bern"


def _line(fact: Any) -> Text:
    by = words.one_line(told.who(fact["by"])) if fact["by"] else "-"
    text = Text.assemble((f" {words.one_line(fact['fact'])}", "bold"), f" = {words.one_line(fact['value'])}")
    return text.append(f"  {by}, {words.day_and_clock(fact['updated_at'])}", "dim")
