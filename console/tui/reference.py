"""`python -m console.tui.reference`: writes the table of keys in docs/console.md from the bindings themselves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from console.tui.catalogue import bindings
from console.tui.keys import shown_key
from console.tui.screens.help import explained, grouped

BEGIN: Final = "<!-- keys: written by `make docs` -->\n"
END: Final = "<!-- end of keys -->\n"


def keys_table() -> str:
    """Return every binding with an id as a table: key, id, what it does."""
    lines = ["| key | id | does |", "|---|---|---|"]
    for _, group in grouped(sorted(bindings(), key=lambda binding: binding.id or "")):
        lines += [f"| {_code(shown_key(each))} | `{each.id}` | {explained(each)} |" for each in group]
    return "\n".join(lines) + "\n"


def text_with_keys(text: str) -> str:
    """Return a document with the table of keys as it is now. Raises ValueError where its marks are missing."""
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"the document has no {BEGIN.strip()} … {END.strip()}")
    return f"{before}{BEGIN}\n{keys_table()}\n{END}{after}"


def _code(keys: str) -> str:
    return ", ".join(f"`{key}`" if key != "|" else "`\\|`" for key in keys.split(", "))


if __name__ == "__main__":
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/console.md")
    path.write_text(text_with_keys(path.read_text(encoding="utf-8")), encoding="utf-8")
