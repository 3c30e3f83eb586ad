"""Thoughts beside an answer of chat completions: kept as they came, for the server they came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from workers.llm.base import Block

TEXTS: Final = ("reasoning_content", "reasoning")
"""Where servers put thoughts as text: DeepSeek, Qwen, llama.cpp; vLLM, OpenRouter, Ollama."""

DETAILS: Final = "reasoning_details"
"""OpenRouter's: thoughts in blocks, some of them signed or encrypted."""

NAMES: Final = frozenset({*TEXTS, DETAILS})

_IN_PIECES: Final = ("text", "summary")
"""What of a block comes in pieces; all else (its format, its signature) comes whole."""


def thoughts_of(message: Any) -> tuple[Block, ...]:
    """Return the thoughts of a whole answer, for `Completion.verbatim`; () where there are none."""
    if not isinstance(message, dict):
        return ()
    texts = {name: message[name] for name in TEXTS if isinstance(message.get(name), str)}
    return _fields(texts, list(_blocks(message)))


class Reasoning:
    """The thoughts of a stream, piece by piece."""

    __slots__ = ("_blocks", "_open", "_texts")

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._blocks: list[dict[str, Any]] = []
        """Each as it will go back, but for lists of pieces where its texts will be."""
        self._open: dict[tuple[Any, Any], dict[str, Any]] = {}
        """Those that may go on, by kind and place."""

    def take(self, delta: dict[str, Any]) -> int:
        """Take what a delta brings; return how many characters it was, and one more for each block."""
        size = 0
        for name in TEXTS:
            piece = delta.get(name)
            if isinstance(piece, str):
                self._texts.setdefault(name, []).append(piece)
                size += len(piece)
        for block in _blocks(delta):
            self._take_block(block)
            size += 1 + sum(len(value) for value in block.values() if isinstance(value, str))
        return size

    def _take_block(self, new: dict[str, Any]) -> None:
        """Add to the block of the same kind and place until that one is signed; what is encrypted comes whole."""
        if "data" in new:
            self._blocks.append(new)
            return
        key = new.get("type"), new.get("index")
        block = self._open.get(key)
        if block is None:
            block = self._open[key] = {}
            self._blocks.append(block)
        for name, value in new.items():
            if name in _IN_PIECES:
                if isinstance(value, str):
                    block.setdefault(name, []).append(value)
            elif value is not None or name not in block:
                block[name] = value
        if new.get("signature"):
            del self._open[key]

    def done(self) -> tuple[Block, ...]:
        """Return them as the server would have sent them whole."""
        blocks = [{name: _joined(value) for name, value in block.items()} for block in self._blocks]
        return _fields({name: "".join(pieces) for name, pieces in self._texts.items()}, blocks)


def _joined(value: Any) -> Any:
    return "".join(value) if isinstance(value, list) else value


def _fields(texts: dict[str, str], blocks: list[dict[str, Any]]) -> tuple[Block, ...]:
    """Return the fields of a message that hold thoughts. An empty text goes back too: DeepSeek wants what it sent."""
    if blocks:
        texts.pop("reasoning", None)  # the same once more
        return ({**texts, DETAILS: blocks},)
    return (texts,) if texts else ()


def _blocks(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the blocks of a message or delta. Their values are flat: nothing in them is larger than it looks."""
    blocks = said.get(DETAILS)
    for block in blocks if isinstance(blocks, list) else ():
        if isinstance(block, dict):
            yield {name: value for name, value in block.items() if value is None or isinstance(value, str | int)}
