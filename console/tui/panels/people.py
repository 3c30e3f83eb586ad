"""The people of a bot: who was let in or shut out, by whom and when; who stands in its file; who wrote lately."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from config.errors import FleetError
from console.tui import told, words
from console.tui.screen import console_of
from console.tui.widgets.cells import fitted

if TYPE_CHECKING:
    from textual.app import ComposeResult

AGAIN_S: Final = 3.0
LATELY: Final = 50
"""Conversations looked at for people nothing was decided about."""
MODES: Final = {
    "open": "open: everybody may talk to it who is not blocked",
    "allowlist": "allowlist: those its file names, and those let in here",
    "pairing": "pairing: those its file names, those let in here, and who sends a code",
    "": "it has no good configuration: nobody can talk to it",
}
NUMBER, STATE, BY, WHEN = 12, 9, 18, 20
"""Widths; names have the rest."""
STYLES: Final = {"blocked": "bold red", "paired": "green", "allowed": "green", "admin": "bold"}


@dataclass(frozen=True, slots=True)
class Person:
    """One line: the number, or @name, what they are, who said so, and when (0 = the file does not say)."""

    who: str
    state: str
    name: str
    by: str
    at: float


class PeoplePanel(Vertical):
    """A list; Enter shows what the bot knows of a person. `look` brings it up to date, as often as the caller likes."""

    DEFAULT_CSS = """
    PeoplePanel > Static { height: auto; padding: 0 1; }
    PeoplePanel > OptionList, PeoplePanel > OptionList:focus { height: 1fr; border: none; padding: 0; background: transparent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "profile", "Profile of the person", show=False, id="people.profile"),
    ]

    def __init__(self, bot_id: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._bot_id = bot_id
        self._people: list[Person] | None = None
        self._asked_at: float | None = None

    def compose(self) -> ComposeResult:
        """How the door stands, the names of the columns, the people, and what is there to say of them."""
        yield Static(Text("reading …", "dim"), id="door", markup=False)
        yield Static(id="head", markup=False)
        yield OptionList(id="people-list", markup=False)

    def on_resize(self) -> None:
        """Give names the room there is."""
        self.query_one("#head", Static).update(
            Text(_row("number", "is", "name", "decided by", "when", self._room), "dim bold")
        )
        if self._people is not None:
            self._show(self._people)

    @property
    def _room(self) -> int:
        return max(16, min(36, self.size.width - NUMBER - STATE - BY - WHEN - 4))

    def focus_first(self) -> None:
        """Put the cursor into the list."""
        self.query_one(OptionList).focus()

    @property
    def person(self) -> str:
        """The number of the person the cursor is at; empty for an @name of the file, and where there is nobody."""
        who = self._at_cursor()
        return who if who.isdecimal() else ""

    def _at_cursor(self) -> str:
        number = self.query_one(OptionList).highlighted
        return self._people[number].who if self._people and number is not None else ""

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_profile()

    def action_profile(self) -> None:
        """Show what the bot knows of the person the cursor is at."""
        app, who = console_of(self), self._at_cursor()
        if self.person:
            app.open("console.tui.screens.facts:FactsScreen", self._bot_id, self.person)
        elif who:
            app.say(f"what is known of {who} stands under their number, which the file does not say")

    # --- keeping up --------------------------------------------------------------------------------------------

    def look(self, *, at_once: bool = False) -> None:
        """Read anew, now and then, or at once."""
        now = console_of(self).clock.monotonic()
        if at_once or self._asked_at is None or now - self._asked_at >= AGAIN_S:
            self._asked_at = now
            self.run_worker(self._read(), name="people", group="people", exclusive=True, exit_on_error=False)

    async def _read(self) -> None:
        control = console_of(self).control
        try:
            answer = await control.access(self._bot_id)
            lately = await control.conversations(self._bot_id, limit=LATELY)
        except FleetError as error:
            if self._people is None:  # else the header says what is wrong with the link, and what was known stays
                self.query_one("#door", Static).update(Text(f"The people cannot be read: {error.message}", "bold red"))
            return
        people = list(everybody(answer, lately))
        self.query_one("#door", Static).update(door(answer, people))
        if people != self._people:
            self._show(people)

    def _show(self, people: list[Person]) -> None:
        """Show a list; the cursor stays on the person it is on."""
        options, before = self.query_one(OptionList), self._at_cursor()
        self._people = people
        options.clear_options()
        options.add_options([Option(line(person, self._room)) for person in people])
        found = [number for number, person in enumerate(people) if person.who == before]
        options.highlighted = (found or [0])[0] if people else None


def everybody(answer: Mapping[str, Any], lately: Sequence[Mapping[str, Any]]) -> Iterator[Person]:
    """Yield who was decided about, who stands in the file, and who else wrote lately."""
    known = set()
    for row in answer["people"]:
        known.add(str(row["user_id"]))
        by = told.who(row["by"]) if row["by"] else ""
        yield Person(str(row["user_id"]), row["state"], words.one_line(row["name"]), words.one_line(by), row["at"])
    for state, listed in (("admin", "admins"), ("allowed", "allow"), ("blocked", "block")):
        for who in answer[listed]:
            known.add(str(who))
            yield Person(words.one_line(str(who)), state, "", "its file", 0.0)
    for row in lately:
        who = row["user_id"]
        if who.isdecimal() and not row["operator"] and who not in known:
            known.add(who)
            yield Person(who, "wrote", "", "", row["updated_at"])


def door(answer: Mapping[str, Any], people: Sequence[Person]) -> Text:
    """Return how the door stands, in a line or two."""
    mode = answer["mode"]
    text = Text(words.one_line(MODES.get(mode, mode)), "bold")
    if answer["open_codes"]:
        text.append(f"  {words.plural(answer['open_codes'], 'code')} not used yet", "yellow")
    if not people:
        text.append("\n\nNobody is listed, and nobody has written yet. A allows a person, C makes a code.", "dim")
    return text.append("\n")


def line(person: Person, room: int) -> Text:
    """Return a person as the list shows them, room being that of names; an @name stands where names do."""
    number, name = ("", person.who) if person.who.startswith("@") else (person.who, person.name)
    when = words.day_and_clock(person.at) if person.at else ""
    text = Text(" " + _row(number, person.state, name, person.by, when, room))
    text.stylize("bold", 0, NUMBER)
    text.stylize(STYLES.get(person.state, "dim"), NUMBER, NUMBER + STATE)
    return text


def _row(number: str, state: str, name: str, by: str, when: str, room: int) -> str:
    cells = ((number, NUMBER), (state, STATE), (name, room), (by, BY))
    return "".join(f"{fitted(cell, width - 1)} " for cell, width in cells) + when
