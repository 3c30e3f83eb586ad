"""A turn whose model is being asked: since when, how much of its answer is there, which tools are at work for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workers.clock import Clock


@dataclass(slots=True)
class Called:
    """One call of a tool. Moments are monotonic; ended is None while it runs; error is "" when it went well."""

    tool: str
    began: float
    ended: float | None = None
    error: str = ""


class Underway:
    """One turn, from its first ask to its last. It hears of the tools called for it; nobody is told: who looks, sees."""

    __slots__ = ("began", "calls", "client_id", "clock", "conversation_id")

    def __init__(self, client_id: str, conversation_id: str, clock: Clock) -> None:
        self.client_id = client_id
        self.conversation_id = conversation_id
        self.clock = clock
        self.began = clock.monotonic()
        self.calls: list[Called] = []
        """In the order they began; those of all rounds."""

    @property
    def age_s(self) -> float:
        """For how long the model has been asked."""
        return self.clock.monotonic() - self.began

    @property
    def characters(self) -> int:
        """How much of the answer is written; 0 as well where it is not streamed."""
        return 0

    def calling(self, tool: str) -> Callable[[str], None]:
        """Note that a tool is called; return what is to be told how that ended ("" = well)."""
        called = Called(tool, self.clock.monotonic())
        self.calls.append(called)

        def end(error: str) -> None:
            called.ended, called.error = self.clock.monotonic(), error

        return end
