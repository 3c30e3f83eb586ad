"""Frames as they cross the socket: of a row only the values that are not known already, made whole again at the other end.

A row is told by what it was. Most changes touch three or four of thirty values: encoding, sending and reading the others would
cost more than all the rest. Full frames, and rows of bots that are new, cross as they are: there is nothing to tell them by.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from console.answers import Frame

Row = dict[str, Any]


async def thinned(frames: AsyncIterator[Frame]) -> AsyncGenerator[Any]:
    """Yield frames with thin rows."""
    had: dict[str, Row] = {}
    async with aclosing(cast("AsyncGenerator[Frame]", frames)) as coming:
        async for frame in coming:
            had = _kept(had, frame)
            rows = cast("list[Row]", frame["bots"])
            thin = [_less(row, had[row["bot_id"]]) if row["bot_id"] in had else row for row in rows]
            had.update((row["bot_id"], row) for row in rows)
            yield {**frame, "bots": thin, "thin": True}


async def whole(frames: AsyncIterator[Any]) -> AsyncGenerator[Frame]:
    """Yield the frames `thinned` was given; frames that never were thinned come through as they are."""
    had: dict[str, Row] = {}
    async for frame in frames:
        if frame.pop("thin", False):
            had = _kept(had, frame)
            frame["bots"] = [_more(row, had[row["bot_id"]]) if row["bot_id"] in had else row for row in frame["bots"]]
            had.update((row["bot_id"], row) for row in frame["bots"])
        yield cast("Frame", frame)


def _kept(had: dict[str, Row], frame: Any) -> dict[str, Row]:
    """Return what a reader has of the fleet when a frame comes: nothing for a full one, nor of bots that went."""
    if frame["full"]:
        return {}
    for bot_id in frame["gone"]:
        had.pop(bot_id, None)
    return had


def _less(row: Row, before: Row) -> Row:
    new = _other(row, before)
    if "figures" in new:
        new["figures"] = _other(row["figures"], before["figures"])
    if "conditions" in new:
        now, then = row["conditions"], before["conditions"]
        new["conditions"] = {**_other(now, then), **dict.fromkeys(then.keys() - now.keys())}
    return {"bot_id": row["bot_id"], **new}


def _more(row: Row, before: Row) -> Row:
    conditions = {**before["conditions"], **row.get("conditions", {})}
    return {
        **before,
        **row,
        "figures": {**before["figures"], **row.get("figures", {})},
        "conditions": {name: state for name, state in conditions.items() if state is not None},
    }


def _other(row: Row, before: Row) -> Row:
    return {name: value for name, value in row.items() if value != before[name]} if before.keys() >= row.keys() else row
