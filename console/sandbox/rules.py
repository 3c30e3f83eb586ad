"""How strict the double is: everything a test may switch on, and the pacing that belongs to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from console.sandbox.limits import Pacing, SendLimits

KEEP_SENT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Rules:
    """Options of a Sandbox; the defaults are the fastest and most forgiving.

    rich_messages = sendRichMessage exists. keep_sent = sends and conversation lines kept per bot (0 = counted only). pacing is None while limits are off.
    """

    accept_any_token: bool = False
    known_chats_only: bool = False
    pace_repeats: bool = False
    limit_first_use: bool = False
    keep_sent: int = KEEP_SENT
    rich_messages: bool = False
    pacing: Callable[[int], Pacing] | None = None


def pacing_of(limits: SendLimits) -> Callable[[int], Pacing]:
    """Return the lookup of each bot's Pacing."""
    known: dict[int, Pacing] = {}

    def pacing(bot_id: int) -> Pacing:
        found = known.get(bot_id)
        if found is None:
            found = known[bot_id] = Pacing(limits)
        return found

    return pacing
