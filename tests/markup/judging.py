"""One document rendered and judged."""

from __future__ import annotations

from collections import Counter

from tests.markup.rules import WORD, cut_characters, faults_of
from workers.channels.markup import Part, render


def judge(source: str, limit: int = 4096) -> list[str]:
    """Render a document and return what is wrong with the parts, each a line."""
    parts = render(source, limit=limit)
    found = [fault for part in parts for fault in faults_of(part.text, part.entities, limit)]
    found += lost(source, parts) + cut_characters([part.text for part in parts], source)
    found += [f"the Markdown of a part does not fit: {len(part.plain)}" for part in parts if len(part.plain) > limit]
    return found


def lost(source: str, parts: list[Part]) -> list[str]:
    """Words that are missing, made up, or out of their order (which tables shown as lists may change)."""
    shown = [word for part in parts for word in WORD.findall(part.text)]
    # A word behind the fence names the language of the code.
    languages = " ".join(entity.get("language", "") for part in parts for entity in part.entities)
    kept = {*shown, *WORD.findall(languages)}
    joined = "".join(part.text for part in parts)  # one that no message holds is cut
    wanted = [word for word in WORD.findall(source) if word not in kept and word not in joined]
    known = set(WORD.findall(source))
    found = [f"lost: {wanted[:5]}"] if wanted else []
    found += [f"made up: {made[:5]}"] if (made := [word for word in shown if word not in known]) else []
    again = Counter(shown)
    if "|" not in source:
        found += [f"twice: {twice[:5]}"] if (twice := [word for word, count in again.items() if count > 1]) else []
        found += [] if shown == sorted(shown, key=lambda word: int(word[1:-1])) else ["out of order"]
    return found
