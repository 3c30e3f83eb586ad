"""The operator's own keys: `keys.toml`, binding id = key, e.g. `"bot.restart" = "ctrl+r"`."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys


def own_keys(files: Iterable[Path]) -> tuple[dict[str, str], list[str]]:
    """Return binding id → key from the files that exist, later ones winning, and what is wrong with them."""
    keymap: dict[str, str] = {}
    mistakes: list[str] = []
    for file in files:
        for name, key in _read(file, mistakes).items():
            wrong = _wrong(name, key)
            if wrong:
                mistakes.append(wrong)
            else:
                keymap[name] = key
    return keymap, mistakes


def _read(file: Path, mistakes: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        mistakes.append(str(error))
        return {}


def _wrong(name: str, key: Any) -> str:
    known = binding_ids()
    if name not in known:
        near = get_close_matches(name, known, n=1)
        return f"{name} is no action" + (f" (did you mean {near[0]}?)" if near else "")
    if not isinstance(key, str) or not key or not all(map(_is_key, key.split(","))):
        return f"{key!r} of {name} is no key"
    if "ctrl+z" in key.split(","):
        return f"{name}: ctrl+z would stop every bot of this process"
    return ""


def _is_key(key: str) -> bool:
    *modifiers, last = key.strip().split("+")
    return _is_named(last) and set(modifiers) <= {"ctrl", "shift", "alt", "super"}


def _is_named(key: str) -> bool:
    """Tell whether a key is a character, or the name of one, or of a key that is none (up, f1)."""
    if len(key) == 1 or key in {each.value for each in Keys} or key in KEY_NAME_REPLACEMENTS.values():
        return True
    try:
        return bool(unicodedata.lookup(key.replace("_", " ")))
    except KeyError:
        return False


def binding_ids() -> set[str]:
    """Return the id of every binding of the console."""
    from console.tui.catalogue import bindings

    return {binding.id for binding in bindings() if binding.id}


def shown_key(binding: Binding) -> str:
    """Return a key as people write it."""
    # Terminals send Ctrl+Space as Ctrl+@: one key to people.
    return ", ".join(_shown(key) for key in binding.key.split(",") if key != "ctrl+@")


_NAMES = {
    "question_mark": "?", "dollar_sign": "$", "delete": "Del", "colon": ":", "slash": "/", "space": "Space", "enter": "Enter", "escape": "Esc", "asterisk": "*",
    "up": "↑", "down": "↓", "left": "←", "right": "→", "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End",
    "left_square_bracket": "[", "right_square_bracket": "]", "tab": "Tab", "shift+tab": "Shift+Tab", "full_stop": ".",
}  # fmt: skip


def _shown(key: str) -> str:
    if key in _NAMES:
        return _NAMES[key]
    *modifiers, last = key.split("+")
    return "+".join(
        [
            *(modifier.capitalize() for modifier in modifiers),
            _NAMES.get(last, last.upper() if modifiers or last[1:].isdigit() else last),
        ]
    )
