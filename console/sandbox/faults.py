"""Fault switches: what shall go wrong with which request, how often, and the moments a test may hold.

A `Faults` belongs to one bot, to the whole sandbox or to the model double. `fail` sets a switch, a request that it
fits takes it, `strike.py` lets it happen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import anyio

from console.sandbox.pulse import Pulse

ANY: Final = "*"

SHARED_KINDS: Final = frozenset(
    {
        "unauthorized",
        "forbidden",
        "not_found",
        "bad_request",
        "flood",
        "server_error",
        "reset",
        "close",
        "garbage",
        "hang",
        "lost_reply",
        "slow",
        "hold",
        "hold_after",
    }
)
BOT_KINDS: Final = SHARED_KINDS | {"conflict"}
MID_ANSWER_KINDS: Final = frozenset(
    {"cut", "truncate", "malformed_chunk", "error_chunk", "hold_between", "endless", "gzip", "wrong_type"}
)
MODEL_KINDS: Final = SHARED_KINDS | MID_ANSWER_KINDS

GATED: Final = frozenset({"hang", "hold", "hold_after", "hold_between"})
"""Kinds whose requests wait until `release()` or `clear()`."""


@dataclass(slots=True, eq=False)
class Fault:
    """One switch. times = requests it still strikes (None = until cleared); after = fitting requests it lets pass first."""

    method: str
    kind: str
    times: int | None
    after: int
    chat_id: int | None
    options: dict[str, Any]
    on_hit: Callable[[str], None]
    hits: int = 0
    pulse: Pulse = field(default_factory=Pulse)
    gate: anyio.Event | None = None
    released: bool = False

    def fits(self, method: str, chat_id: int | None) -> bool:
        """Tell whether a request of this method (lower case) and chat is meant."""
        return self.method in {ANY, method} and (self.chat_id is None or self.chat_id == chat_id)

    def hit(self, method: str) -> None:
        """Note that a request is at the exact point where this fault acts."""
        self.hits += 1
        self.on_hit(method)
        self.pulse.beat()

    async def reached(self, count: int = 1) -> None:
        """Wait until count requests have come to the point of this fault."""
        await self.pulse.until(lambda: self.hits >= count)

    def release(self) -> None:
        """Let every request held by this fault go on, now and later."""
        self.released = True
        if self.gate is not None:
            self.gate.set()

    async def held(self) -> None:
        """Wait for `release()`."""
        if self.released:
            return
        if self.gate is None:
            self.gate = anyio.Event()
        await self.gate.wait()

    def describe(self) -> dict[str, Any]:
        """Return the switch as JSON-able data."""
        return {
            "method": self.method,
            "kind": self.kind,
            "times": self.times,
            "after": self.after,
            "chat_id": self.chat_id,
            "options": self.options,
            "hits": self.hits,
        }


class Faults:
    """The switches of one bot, of the sandbox or of the model, oldest first."""

    __slots__ = ("_gated", "_kinds", "_switches", "hits", "pulse")

    def __init__(self, kinds: frozenset[str] = BOT_KINDS) -> None:
        self._kinds = kinds
        self._switches: list[Fault] = []
        self._gated: list[Fault] = []
        self.hits: Counter[str] = Counter()
        self.pulse = Pulse()

    def fail(
        self,
        method: str,
        kind: str,
        times: int | None = 1,
        *,
        after: int = 0,
        chat_id: int | None = None,
        **options: Any,
    ) -> Fault:
        """Let the next `times` requests of a method ("*" = any) go wrong; None = until `clear()`.

        Options by kind: flood retry_after; server_error status, html; garbage form (text, truncated, html, empty, cut);
        slow delay_s; bad_request and forbidden description; hang done; lost_reply reset. Raises ValueError for an
        unknown kind.
        """
        if kind not in self._kinds:
            raise ValueError(f"no fault of kind {kind!r}: choose one of {', '.join(sorted(self._kinds))}")
        fault = Fault(method.lower(), kind, times, after, chat_id, options, self._note)
        self._switches.append(fault)
        return fault

    def take(self, method: str, chat_id: int | None = None) -> Fault | None:
        """Return the fault that strikes this request, if any, and count it down. method is lower case."""
        if not self._switches:
            return None
        for fault in self._switches:
            if fault.fits(method, chat_id):
                if fault.after > 0:
                    fault.after -= 1
                    continue
                self._count_down(fault)
                return fault
        return None

    def _count_down(self, fault: Fault) -> None:
        if fault.kind in GATED and fault not in self._gated:
            self._gated.append(fault)
        if fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._switches.remove(fault)

    def _note(self, method: str) -> None:
        self.hits[method] += 1
        self.pulse.beat()

    async def reached(self, method: str = ANY, count: int = 1) -> None:
        """Wait until count requests of a method have been struck since the last `clear()`; "*" counts all.

        For `hold` that is the moment before the work, for `hold_after`, `lost_reply` the moment after it.
        """
        name = method.lower()
        await self.pulse.until(lambda: self.struck(name) >= count)

    def struck(self, method: str = ANY) -> int:
        """Return how many requests of a method were struck since the last `clear()`."""
        return self.hits.total() if method == ANY else self.hits[method.lower()]

    def release(self, method: str = ANY) -> int:
        """Let held requests of a method go on and take their switches away; return how many switches."""
        name = method.lower()
        waiting = self._gated + [fault for fault in self._switches if fault.kind in GATED]
        chosen = [fault for fault in dict.fromkeys(waiting) if name in {ANY, fault.method} or fault.method == ANY]
        for fault in chosen:
            fault.release()
        self._gated = [fault for fault in self._gated if fault not in chosen]
        self._switches = [fault for fault in self._switches if fault not in chosen]
        return len(chosen)

    def clear(self) -> None:
        """Take every switch away, let everything held go on, forget the counts."""
        self.release()
        self._switches.clear()
        self.hits.clear()

    def describe(self) -> list[dict[str, Any]]:
        """Return every switch as JSON-able data."""
        return [fault.describe() for fault in self._switches]
