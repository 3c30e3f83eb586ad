"""A partition moves in or out, some rows at a time, so that turns of other bots go on in between.

What was begun and cut off by the end of the process is marked in the file; the next `Store.open` takes it out.
"""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

from store import transfer
from store.errors import StoreError
from store.writer import Writer


async def bring_in(writer: Writer, source: Path, bot_id: str | None, now_ms: int) -> tuple[str, int]:
    """Import a portable file into an empty partition; return (bot_id, rows). Raises StoreError. All or nothing."""
    exported = await asyncio.to_thread(transfer.examine, source, bot_id)
    name = exported.bot_id
    await writer.write(lambda connection: transfer.begin_import(connection, exported, now_ms))
    complete = False
    try:
        batches = transfer.batches(exported)
        while batch := await asyncio.to_thread(next, batches, None):
            await writer.write(lambda c, b=batch: transfer.insert(c, writer.ids, exported, b, now_ms))  # type: ignore[misc]
        await writer.write(lambda connection: transfer.end_import(connection, name))
        complete = True
    except sqlite3.Error as error:
        raise StoreError(f"{source} does not fit into this database: {error}", "export the bot again") from error
    finally:
        if not complete:
            await asyncio.shield(asyncio.ensure_future(take_out(writer, name, now_ms)))
    return name, exported.rows


async def take_out(writer: Writer, bot_id: str, now_ms: int) -> int:
    """Delete every row of a bot; return how many there were. Raises StoreError."""
    await writer.write(lambda connection: transfer.begin_removal(connection, bot_id, now_ms))
    total = -1  # the mark is no row of the bot
    while deleted := await writer.write(lambda connection: transfer.remove_some(connection, bot_id)):
        total += deleted
    return total
