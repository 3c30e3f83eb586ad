"""The keys of a screen, made from its bindings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingsMap, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from console.tui.actions import BY_ID
from console.tui.keys import shown_key
from console.tui.widgets.filter_bar import FilterBar, HistoryInput

if TYPE_CHECKING:
    from textual.screen import Screen

WIDE: Final = 160
"""From this width on there is room for two columns."""
Group = tuple[str, list[Binding]]
GROUPS = {
    "bot": "ORDERS to marked bots",
    "fleet": "FLEET",
    "list": "LIST",
    "log": "LOG AND EVENTS",
    "console": "EVERYWHERE",
    "input": "WHILE TYPING",
}
"""First part of a binding's id → headline. Others stand under the name of their screen."""


def keys_of(screen: Screen[Any]) -> list[Binding]:
    """Return every binding of ours a screen knows at the moment, each once, keys of one binding together."""
    nodes = [screen.app, screen, *screen.query("*")]
    known = [node._bindings for node in nodes]  # noqa: SLF001 (Textual gives them nowhere else)
    if screen.query(FilterBar):
        # A bar makes what is typed into only when it is asked for; its keys are told before.
        known.append(BindingsMap(HistoryInput.BINDINGS))
    found: dict[str, Binding] = {}
    for each in known:
        bindings = each.copy()
        bindings.apply_keymap(screen.app._keymap)  # noqa: SLF001 (nor these)
        for _, binding in bindings:
            if binding.id and binding.description:
                before = found.get(binding.id)
                keys = (
                    f"{before.key},{binding.key}"
                    if before and binding.key not in before.key.split(",")
                    else binding.key
                )
                found[binding.id] = binding.with_key(keys)
    return list(found.values())


def grouped(bindings: Iterable[Binding]) -> Iterator[tuple[str, list[Binding]]]:
    """Yield headline and bindings, group by group."""
    groups: dict[str, list[Binding]] = {}
    for binding in bindings:
        groups.setdefault((binding.id or "").partition(".")[0], []).append(binding)
    for name in sorted(groups, key=lambda name: list(GROUPS).index(name) if name in GROUPS else -1):
        yield GROUPS.get(name, name.upper()), groups[name]


def explained(binding: Binding) -> str:
    """Return what a key does, in a sentence where there is one."""
    action = BY_ID.get(binding.id or "")
    return f"{binding.description}: {action.help}" if action else binding.description


class HelpScreen(ModalScreen[None]):
    """Keys and what they do."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,q", "close", "Close", id="help.close"),
    ]

    def __init__(self, bindings: list[Binding]) -> None:
        super().__init__()
        self._keys = bindings

    def compose(self) -> ComposeResult:
        """Headlines and lines, in two columns where there is room."""
        groups = list(grouped(self._keys))
        wide = self.app.size.width >= WIDE
        with Vertical(classes="dialog wide" if wide else "dialog") as dialog:
            dialog.border_title = "Keys"
            dialog.border_subtitle = "Esc closes; your own keys: keys.toml, see docs/console.md"
            with VerticalScroll(), Horizontal():
                for column in halves(groups) if wide else (groups,):
                    yield Static(_table(column), markup=False)

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)


def halves(groups: Sequence[Group]) -> tuple[Sequence[Group], Sequence[Group]]:
    """Return groups as two columns, in their order, as even as they can be."""

    def length(part: Sequence[Group]) -> int:
        return sum(len(bindings) + 2 for _, bindings in part)

    cut = min(range(len(groups) + 1), key=lambda n: max(length(groups[:n]), length(groups[n:])))
    return groups[:cut], groups[cut:]


def _table(groups: Iterable[Group]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for headline, bindings in groups:
        table.add_row(Text(headline, "bold underline"))
        for binding in bindings:
            table.add_row(Text(f"  {shown_key(binding)}", "bold"), explained(binding))
        table.add_row("")
    return table
