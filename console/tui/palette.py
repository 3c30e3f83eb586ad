"""The palette: first what to do, then the bots to do it to. One pass over a short list at each key, never over both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Final

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from console.tui import words
from console.tui.actions import ACTIONS, OperatorAction, Scope
from console.tui.keys import shown_key
from console.tui.screen import console_of

WIDTH: Final = 76
"""Of the dialog, where there is so much."""
SHOWN: Final = 50
"""Hits listed at most."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that may be chosen: what it is called, what is said of it, and what choosing it does."""

    name: str
    note: str
    choose: Callable[[], None]


def best(entries: Sequence[Entry], typed: str) -> list[Entry]:
    """Return the entries that fit what is typed, the best first; all of them in their order for nothing typed."""
    if not typed.strip():
        return list(entries[:SHOWN])
    matcher = Matcher(typed.strip())
    scored = [(matcher.match(entry.name), -number, entry) for number, entry in enumerate(entries)]
    hits = sorted((hit for hit in scored if hit[0] > 0), key=lambda hit: hit[:2], reverse=True)
    return [entry for _, _, entry in hits[:SHOWN]]


class Palette(ModalScreen[None]):
    """A line to type into and what fits it. targets are the bots an action would concern by key."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back", show=False, id="palette.back"),
        Binding("down", "step(1)", "Next", show=False, id="palette.down"),
        Binding("up", "step(-1)", "Before", show=False, id="palette.up"),
        Binding("pagedown", "step(10)", "Further", show=False, id="palette.page_down"),
        Binding("pageup", "step(-10)", "Back", show=False, id="palette.page_up"),
    ]

    def __init__(self, targets: Sequence[str]) -> None:
        super().__init__()
        self._targets = list(targets)
        self._action: OperatorAction | None = None
        self._entries: list[Entry] = []
        self._hits: list[Entry] = []

    def compose(self) -> ComposeResult:
        """The line and the list."""
        with Vertical(classes="dialog"):
            yield Input(compact=True)
            yield OptionList(markup=False, compact=True)

    def on_mount(self) -> None:
        """Begin with the actions."""
        self.query_one(OptionList).can_focus = False
        self._ask("What is to be done?", self._actions())

    def _ask(self, title: str, entries: list[Entry]) -> None:
        self._entries = entries
        self.query_one(".dialog", Vertical).border_title = title
        line = self.query_one(Input)
        line.value = ""
        line.focus()
        self._fit("")

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._fit(event.value)

    def _fit(self, typed: str) -> None:
        self._hits = best(self._entries, typed)
        options = self.query_one(OptionList)
        options.clear_options()
        room = min(WIDTH, self.app.size.width * 94 // 100) - 10
        options.add_options([Option(_shown(entry, room)) for entry in self._hits])
        if not self._hits:
            options.add_option(Option("nothing fits", disabled=True))
        options.highlighted = 0 if self._hits else None

    # --- what may be chosen ------------------------------------------------------------------------------------

    def _actions(self) -> list[Entry]:
        app = console_of(self)
        deeds = [
            Entry(action.title, _note(action), partial(self._take, action))
            for action in ACTIONS
            if not app.refusal(action)
        ]
        go = [
            Entry(f"Go to {name}", note, partial(self._leave, run))
            for name, note, run in (
                ("logs", "l", app.action_logs),
                ("events", "e", app.action_events),
                ("usage", "$", app.action_usage),
                ("help", "?", app.action_help),
            )
        ]
        names = sorted(app.available_themes, key=lambda name: (not name.startswith("botdeck"), name))
        themes = [
            Entry(
                f"Theme {name}", "now" if name == app.theme else "", partial(self._leave, partial(app.put_theme, name))
            )
            for name in names
        ]
        plain = Entry("Plain signs", "ASCII in place of ●◐▁▂▃, or back", partial(self._leave, app.toggle_plain))
        bars = Entry("Charts as bars", "where the font has no braille, or back", partial(self._leave, app.toggle_bars))
        return [*deeds, *go, plain, bars, *themes]

    def _bots(self) -> list[Entry]:
        model = console_of(self).model
        marked = model.marked()
        first = [self._entry_of("the marked bots", marked)] if marked else []
        here = [bot_id for bot_id in self._targets if bot_id not in marked]
        rest = [bot_id for bot_id in model.index if bot_id not in here]
        return [*first, *(self._entry_of(bot_id, [bot_id]) for bot_id in [*here, *rest])]

    def _entry_of(self, name: str, bot_ids: list[str]) -> Entry:
        row = console_of(self).model.rows.get(name)
        note = row["phase"] if row else words.some(bot_ids)
        return Entry(name, note, partial(self._do, bot_ids))

    # --- choosing ----------------------------------------------------------------------------------------------

    def _take(self, action: OperatorAction) -> None:
        self._action = action
        if action.scope is Scope.FLEET:
            self._do([])
        else:
            self._ask(f"{action.title}: which bot?", self._bots())

    def _do(self, bot_ids: list[str]) -> None:
        action = self._action
        assert action is not None
        self._leave(partial(console_of(self).act, action.id, bot_ids))

    def _leave(self, then: Callable[[], None]) -> None:
        app = console_of(self)
        self.dismiss(None)
        app.call_next(then)

    @on(Input.Submitted)
    def _entered(self) -> None:
        highlighted = self.query_one(OptionList).highlighted
        if self._hits and highlighted is not None:
            self._hits[highlighted].choose()

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._hits[event.option_index].choose()

    def action_step(self, by: int) -> None:
        """Go further down the list."""
        options = self.query_one(OptionList)
        if self._hits and options.highlighted is not None:
            options.highlighted = max(0, min(options.highlighted + by, len(self._hits) - 1))

    def action_back(self) -> None:
        """Go back to the actions, or leave."""
        if self._action is None:
            self.dismiss(None)
        else:
            self._action = None
            self._ask("What is to be done?", self._actions())


def _note(action: OperatorAction) -> str:
    return f"{shown_key(Binding(action.key, '')):<3} {action.help}"


def _shown(entry: Entry, room: int) -> Text:
    text = Text.assemble((f"{entry.name:<23} ", "bold"), (words.visible(entry.note), "dim"))
    text.truncate(room, overflow="ellipsis")
    return text
