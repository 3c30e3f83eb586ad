"""What the model is told of the person it speaks with: the facts of their profile, as a block of bounded length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from store.profiles import one_line

BLOCK_CHARS: Final = 8_000
"""Of all facts together in a prompt; a profile may hold four times as much."""


def block(profile: Mapping[str, str]) -> str:
    """Return the facts as lines `- name: value`, by name; those that do not fit are left out, which a last line says."""
    lines: list[str] = []
    left = BLOCK_CHARS
    for number, (fact, value) in enumerate(profile.items()):
        line = f"- {one_line(fact)}: {one_line(value)}"
        left -= len(line) + 1
        if left < 0:
            return "\n".join([*lines, f"- … and {len(profile) - number} more"])
        lines.append(line)
    return "\n".join(lines)
