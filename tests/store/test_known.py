"""The memory of small rows never says anything the file does not."""

from __future__ import annotations

import asyncio

import pytest

from store.known import Key, Known

pytestmark = pytest.mark.anyio


def key(name: str, bot_id: str = "a") -> Key:
    return (bot_id, "fact", "acme", name)


async def asked(known: Known, name: str, value: str | None, bot_id: str = "a") -> str | None:
    async def read() -> str | None:
        return value

    return await known.of(key(name, bot_id), read, lambda text: len(text or ""))


async def test_what_was_read_is_not_read_again_until_it_changes() -> None:
    """Nothing, too, is worth remembering."""
    known = Known()
    assert [await asked(known, "x", None), await asked(known, "x", "later")] == [None, None]
    known.changed(key("x"))
    assert [await asked(known, "x", "one"), await asked(known, "x", "two")] == ["one", "one"]


async def test_a_read_that_began_before_a_change_is_not_remembered() -> None:
    """It is handed back, and the next one reads the file."""
    known, go = Known(), asyncio.Event()

    async def slow() -> str:
        await go.wait()
        return "old"

    reading = asyncio.ensure_future(known.of(key("x"), slow, len))
    await asyncio.sleep(0)
    known.changed(key("x"))
    go.set()
    assert await reading == "old"
    assert await asked(known, "x", "new") == "new"
    cancelled = asyncio.ensure_future(known.of(key("y"), asyncio.Event().wait, bool))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.wait([cancelled])
    assert await asked(known, "y", "read") == "read"


async def test_memory_is_bounded_by_entries_and_characters() -> None:
    """What was asked for longest ago goes first; a bot's entries go with it."""
    known = Known(entries=3, characters=100)
    for name in "1234":
        await asked(known, name, "old")
    assert [await asked(known, name, "new") for name in "4321"] == ["old", "old", "old", "new"]
    await asked(known, "big", "y" * 99)
    assert (len(known), known.characters) == (1, 99)
    await asked(known, "z", "z" * 200)
    assert (len(known), known.characters) == (0, 0)
    await asked(known, "x", "old")
    await asked(known, "x", "old", "b")
    known.forget("a")
    assert [await asked(known, "x", "new"), await asked(known, "x", "new", "b")] == ["new", "old"]
    known.forget()
    assert len(known) == 0
