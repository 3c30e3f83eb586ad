"""The keys of a screen, made from its bindings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from console.tui.actions import BY_ID
from console.tui.keys import shown_key

if TYPE_CHECKING:
    from textual.screen import Screen

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
    found: dict[str, Binding] = {}
    for node in nodes:
        bindings = node._bindings.copy()  # noqa: SLF001 (Textual gives them nowhere else)
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
        """Headlines and lines."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Keys"
            dialog.border_subtitle = "Esc closes; your own keys: keys.toml, see docs/console.md"
            with VerticalScroll():
                yield Static(self._table(), markup=False)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column()
        for headline, bindings in grouped(self._keys):
            table.add_row(Text(headline, "bold underline"))
            for binding in bindings:
                table.add_row(Text(f"  {shown_key(binding)}", "bold"), explained(binding))
            table.add_row("")
        return table

    def action_close(self) -> None:
        """Go back."""
        self.dismiss(None)
