"""The effective configuration of a bot: every value and where it was said, what was rejected last, no secret."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from console.tui import words

if TYPE_CHECKING:
    from textual.app import ComposeResult

COLUMN: Final = 52
"""Where the origins begin, unless a value is longer."""
LONGEST: Final = 400


class ConfigPanel(VerticalScroll):
    """The configuration as one text that scrolls; values of the bot's own file stand out."""

    DEFAULT_CSS = """
    ConfigPanel { padding: 0 1; }
    ConfigPanel > Static { height: auto; }
    """
    can_focus = True

    def compose(self) -> ComposeResult:
        """Hold one text."""
        yield Static(id="effective", markup=False)

    def show(self, answer: Mapping[str, Any] | None, *, rejected: str | None, why: str = "") -> None:
        """Show what Control.config_show answered, or why there is nothing to show; rejected is the last bad edit."""
        text = Text()
        if rejected:
            text.append("The last edit was rejected, what is shown below runs on:\n", "bold red")
            text.append(f"{words.one_line(rejected)}\n", "red")
            text.append("E opens it in your editor, i here.\n\n", "dim")
        text.append_text(effective(answer) if answer is not None else Text(why or "reading …", "dim"))
        self.query_one("#effective", Static).update(text)


def effective(answer: Mapping[str, Any]) -> Text:
    """Return the values as TOML, each with the place it comes from."""
    text = Text(f"# {answer['file']} as it runs (digest {answer['digest']}), secrets masked\n", "dim")
    table: tuple[str, ...] = ()
    for path, value in _leaves(answer["config"], ()):
        if path[:-1] != table:
            table = path[:-1]
            text.append(f"\n[{'.'.join(map(_key, table))}]\n", "bold")
        text.append_text(_row(path, value, answer["origins"].get(".".join(path), {}), answer["file"])).append("\n")
    return text


def _leaves(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield plain values before the tables beside them, as TOML wants it."""
    nested = {name: value for name, value in table.items() if isinstance(value, dict)}
    for name, value in table.items():
        if name not in nested:
            yield (*path, name), value
    for name, value in nested.items():
        yield from _leaves(value, (*path, name))


def _row(path: tuple[str, ...], value: Any, origin: Mapping[str, Any], own: str) -> Text:
    written = f"{_key(path[-1])} = {_toml(value)}" if value is not None else f"# {_key(path[-1])} is not set"
    mine = origin.get("file") == own
    text = Text(words.clip(written, LONGEST), "bold" if mine else "dim" if value is None else "")
    return text.append(f"{' ' * max(2, COLUMN - len(text))}{_whence(origin)}", "cyan" if mine else "dim")


def _whence(origin: Mapping[str, Any]) -> str:
    if not origin.get("file"):
        return "default"
    line = f":{origin['line']}" if origin.get("line") else ""
    return words.one_line(f"{origin['file']}{line}")


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else json.dumps(name)


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return words.visible(json.dumps(value, ensure_ascii=False))
