"""What a model may call, behind one protocol (`base.Source`); one line here makes a new kind known."""

from __future__ import annotations

from typing import Final

KINDS: Final = {
    "builtin": "workers.tools.builtin:source",
    "python": "workers.tools.python:source",
    "http": "workers.tools.http:source",
    "mcp": "workers.tools.mcp:source",
}
"""Value of `kind` in `[[tools]]` → module:function, called as function(section, parts); loaded at its first use."""
