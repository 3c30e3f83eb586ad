"""Keys of the HTTP API as they lie in the file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from store.database import Store
from store.keys import KEY_PATTERN, SCOPES, KeyRow, digest_of, id_in, new_key

pytestmark = pytest.mark.anyio

NOW_MS = 1_800_000_000_000


def row(key: str, name: str = "shop", **more: object) -> KeyRow:
    made = KeyRow(id_in(key), digest_of(key), name, "operate", None, "cli:ana", NOW_MS)
    return replace(made, **more)  # type: ignore[arg-type]


async def test_a_key_comes_back_as_it_was_written(store: Store) -> None:
    """Everything but the key itself; in the order they were made."""
    first, second = new_key()[0], new_key()[0]
    rows = [row(first, client_id="c1", expires_ms=NOW_MS + 5), row(second, "other", created_ms=NOW_MS + 1)]
    for one in reversed(rows):
        await store.keys.add(one)
    assert await store.keys.all() == rows
    assert await store.bot_ids() == []


async def test_the_file_lets_nobody_in(store: Store, path: Path) -> None:
    """Neither the key nor its secret stands in the file or beside it."""
    key, key_id = new_key()
    await store.keys.add(row(key))
    await store.close()
    written = b"".join(part.read_bytes() for part in path.parent.glob(f"{path.name}*"))
    assert key_id.encode() in written
    assert key.split("_")[2].encode() not in written


async def test_revoked_once_and_for_ever(store: Store) -> None:
    """The moment of the first revocation stays; nobody's key is nobody's."""
    key, key_id = new_key()
    await store.keys.add(row(key))
    assert await store.keys.revoke(key_id, NOW_MS + 1)
    assert not await store.keys.revoke(key_id, NOW_MS + 2)
    assert not await store.keys.revoke("nobodys1", NOW_MS)
    assert [one.revoked_ms for one in await store.keys.all()] == [NOW_MS + 1]


async def test_last_uses_are_written_together(store: Store) -> None:
    """One transaction for all of them; a key unknown by now is no mistake."""
    keys = [new_key()[0] for _ in range(3)]
    for number, key in enumerate(keys):
        await store.keys.add(row(key, created_ms=NOW_MS + number))
    await store.keys.used([(id_in(keys[0]), NOW_MS + 7), (id_in(keys[2]), NOW_MS + 8), ("nobodys1", NOW_MS)])
    assert [one.used_ms for one in await store.keys.all()] == [NOW_MS + 7, None, NOW_MS + 8]


def test_keys_are_told_apart_and_recognised() -> None:
    """Each is another, fits its row alone, and looks like one, so that logs can do without it."""
    keys = {new_key()[0] for _ in range(50)}
    assert len(keys) == len({id_in(key) for key in keys}) == 50
    assert all(re.fullmatch(KEY_PATTERN, key) for key in keys)
    one, other = list(keys)[:2]
    assert row(one).fits(one)
    assert not row(one).fits(other)
    assert not row(one).fits(one[:-1])
    assert not row(one).fits("\ud800")


@pytest.mark.parametrize("text", ["", "bdk", "bdk__", "bdk_short_x", "bdk_12345678_a_b", "sk-12345678_x"])
def test_what_is_no_key_has_no_id(text: str) -> None:
    """Whatever comes in an Authorization header."""
    assert id_in(text) == ""


def test_good_until_its_end() -> None:
    """Expired at the moment itself; revoked whatever the clock says."""
    one = row(new_key()[0], expires_ms=NOW_MS + 10)
    assert one.good(NOW_MS + 9)
    assert not one.good(NOW_MS + 10)
    assert not replace(one, revoked_ms=NOW_MS).good(NOW_MS - 1)
    assert SCOPES == ("read", "operate", "admin")
