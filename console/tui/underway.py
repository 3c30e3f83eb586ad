"""Answers that are being made, in words: who waits for them, for how long, how much is there, which tool is at work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from console.tui import told, words

if TYPE_CHECKING:
    from console.control import AnsweringRow, Saying

LETTERS: Final = 4
"""Characters taken for one token while nobody has counted them."""


def about(characters: int) -> str:
    """Return how many tokens so many characters are, as far as one can tell before the model has said it."""
    number = max(1, round(characters / LETTERS))
    return f"~{words.count(number)} {'token' if number == 1 else 'tokens'}"


def state(row: AnsweringRow) -> str:
    """Return what goes on: "writing, 4s, ~120 tokens", "tool search, 1s", or "asking, 3s" before a word is there."""
    if row["tools"]:
        names = ", ".join(words.one_line(run["tool"]) for run in row["tools"])
        return f"tool {names}, {words.seconds(max(run['took_s'] for run in row['tools']))}"
    if row["characters"]:
        return f"writing, {words.seconds(row['age_s'])}, {about(row['characters'])}"
    return f"asking, {words.seconds(row['age_s'])}"


def who(row: AnsweringRow) -> str:
    """Return who waits: "chat 7", or that it is an operator."""
    return "an operator" if row["operator"] else f"chat {words.one_line(row['conversation_id'])}"


def all_of(rows: Sequence[AnsweringRow]) -> str:
    """Return all that are being answered: "2 being answered: chat 7 (writing, 4s, ~120 tokens), chat 9 (tool search, 1s)"."""
    return f"{len(rows)} being answered: {words.some([f'{who(row)} ({state(row)})' for row in rows])}"


class Growing:
    """An answer that grows from frames of `Control.saying`, as a message of a chat."""

    def __init__(self, began: float) -> None:
        self.began = began
        """Monotonic moment it was asked for."""
        self._text = ""
        self._tools: list[Any] = []

    def take(self, frame: Saying) -> None:
        """Take what is new."""
        self._text = self._text[: frame["keep"]] + frame["more"]
        self._tools = list(frame["tools"])

    def state(self, now: float) -> str:
        """Return what goes on at a monotonic moment: "calls search", "is writing", "is thinking"; and for how long."""
        running = [words.one_line(run["tool"]) for run in self._tools if run["running"]]
        took = words.seconds(max(0.0, now - self.began))
        if running:
            return f"calls {', '.join(running)} … {took}"
        if self._text:
            return f"is writing … {took}, {about(len(self._text))}"
        return f"is thinking … {took}"

    def message(self, at: float) -> dict[str, Any]:
        """Return what there is by now, as a message said at a moment."""
        return message("assistant", self._text, at) | {"tools": [_tool(run) for run in self._tools]}

    @property
    def begun(self) -> bool:
        """Whether there is something to show."""
        return bool(self._text or self._tools)


def message(role: str, text: str, at: float) -> dict[str, Any]:
    """Return a message as a chat shows it, of which nothing more is known."""
    return {
        "seq": 0,
        "role": role,
        "text": text,
        "at": at,
        "model": "",
        "tokens_in": 0,
        "tokens_out": 0,
        "latency_ms": 0,
        "error": "",
    }


def _tool(run: dict[str, Any]) -> str:
    """Return a call as the journal tells it once it has ended."""
    if run["running"]:
        return f"tool {words.one_line(run['tool'])} called …"
    data = {"tool": run["tool"], "duration_s": run["took_s"], "error": run["error"]}
    return told.told({"bot_id": "", "at": 0.0, "kind": "ToolCalled", "data": data, "actor": ""})
