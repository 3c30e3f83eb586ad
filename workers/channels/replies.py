"""Answers that show what they answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from workers.channels.base import Outgoing


def replying(parts: Sequence[Outgoing], message_id: int) -> list[Outgoing]:
    """Return the parts of an answer, the first as a reply to a message; 0 = to none. One that is gone is no hindrance."""
    made = list(parts)
    if message_id and made:
        reply = {"message_id": message_id, "allow_sending_without_reply": True}
        made[0] = replace(made[0], params={**made[0].params, "reply_parameters": reply})
    return made
