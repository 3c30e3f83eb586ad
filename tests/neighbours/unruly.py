"""A provider that echoes as `echo` does, and does to the process what a bot's `[llm.options] does` says.

It stands in for whatever of a bot's own may one day run in a turn: a tool, a template, an expression.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

import anyio

from workers.llm.base import Completion, CompletionRequest
from workers.llm.echo import EchoProvider

STALL_S: Final = 5.0


def spin(seconds: float) -> None:
    """Block the loop with work of the interpreter."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def backtrack(letters: int) -> bool:
    """Block the loop in one call of C that never lets go of the interpreter: twice as long for each letter."""
    return re.match(r"(a+)+$", "a" * letters + "b") is None


class Unruly(EchoProvider):
    """Echo, with `does` among its options: spin, hang, crash."""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Do the deed for a message that begins with "go", echo everything else."""
        text = request.messages[-1].content
        does = request.options.get("does")
        if does and text.startswith("go"):
            await DEEDS[does]()
        return await super().complete(_without(request))


def _without(request: CompletionRequest) -> CompletionRequest:
    return CompletionRequest(request.model, request.messages, timeout_s=request.timeout_s)


async def _spin() -> None:
    spin(STALL_S)


async def _crash() -> None:
    raise RuntimeError("a mistake of this bot's own")


DEEDS: Final[dict[str, Any]] = {"spin": _spin, "hang": anyio.sleep_forever, "crash": _crash}
