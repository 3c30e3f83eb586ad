"""Which tools were called for the answers of a conversation, as the journal tells it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from console.control import EventQuery
from console.tui import told

if TYPE_CHECKING:
    from console.control import Control, MessageRow

MOST: Final = 1000
"""Calls of one bot looked at, the last of the time its messages span."""
LONGEST_TURN_S: Final = 3600.0
"""How long before its answer a call may lie."""


async def with_tools(control: Control, bot_id: str, messages: Sequence[MessageRow]) -> list[Any]:
    """Return messages, each answer with the calls made for it (`tools`), as far as the journal still holds them.

    A call belongs to the update it was made for: those of an operator's own conversation belong to none, and stand in the
    events alone. Raises FleetErrors.
    """
    answers = {row["update_id"] for row in messages if row["role"] == "assistant" and row["update_id"] is not None}
    if not answers:
        return list(messages)
    first, last = messages[0]["at"], messages[-1]["at"]
    query = EventQuery((bot_id,), tail=MOST, since=first - LONGEST_TURN_S, before=last + 1.0, kinds=("ToolCalled",))
    called: dict[int, list[str]] = defaultdict(list)
    for event in await control.events(query):
        if event["data"].get("update_id") in answers:
            called[event["data"]["update_id"]].append(told.told(event))
    return [
        {**row, "tools": called.get(row["update_id"] or 0, []) if row["role"] == "assistant" else []}
        for row in messages
    ]
