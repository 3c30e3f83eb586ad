"""Pictures sent together come as a message each: they are one question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from workers.errors import UpdatePoisoned

if TYPE_CHECKING:
    from workers.channels.base import Incoming
    from workers.recording import OpenItem
    from workers.shift import Shift

GATHER_S: Final = 1.0
"""The messages of an album are sent within a fraction of a second, but may come in two polls."""


class Sibling(NamedTuple):
    """Another message of an album, behind the first in its lane."""

    item: OpenItem
    incoming: Incoming


async def siblings(shift: Shift, incoming: Incoming) -> list[Sibling] | None:
    """Wait a moment for the rest of an album; return it, in order. None when the bot drains meanwhile."""
    if not await shift.rests.sleep(GATHER_S):
        return None
    found: list[Sibling] = []
    for item in shift.behind(incoming.lane.conversation_id):
        try:
            other = shift.channel.read(item.parsed())
        except UpdatePoisoned:
            break
        if other is None or other.media_group_id != incoming.media_group_id or other.user_id != incoming.user_id:
            break
        found.append(Sibling(item, other))
    return found
