"""Keys of the API through every Control, and as the running fleet holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from console.control import Control, EventQuery
from console.errors import BadRequest, NoSuchKey
from console.keyring import DAY_MS, Keyring
from console.runtime import Fleet
from store.database import Store
from tests.waiting import eventually
from workers.clock import ManualClock
from workers.redaction import Redactor

pytestmark = pytest.mark.anyio


async def test_made_listed_and_revoked(control: Control, fleet: Fleet) -> None:
    """The key is told once; who made and revoked it is written down, and no event or list holds it."""
    made = await control.key_add("shop", "operate", client_id="c1", days=1, actor="cli:ana")
    assert (made["scope"], made["client_id"], made["by"], made["good"]) == ("operate", "c1", "cli:ana", True)
    assert made["expires_at"] == pytest.approx(made["created_at"] + 86_400)
    assert fleet.keys.find(made["key"]) is not None
    (listed,) = await control.keys()
    assert made["key"] not in str(listed)
    assert listed["used_at"] is not None
    gone = await control.key_revoke("shop", actor="cli:bob")
    assert (gone["key_id"], gone["good"]) == (made["key_id"], False)
    assert fleet.keys.find(made["key"]) is None
    await fleet.journal.flush()
    events = await control.events(EventQuery(kinds=("OperatorActed",)))
    assert [(e["actor"], e["data"]["action"]) for e in events] == [("cli:ana", "add key"), ("cli:bob", "revoke key")]
    assert made["key"] not in str(events)


async def test_what_makes_no_key(control: Control) -> None:
    """A sentence, and nothing is written."""
    wrong: list[tuple[str, str, dict[str, Any]]] = [
        ("", "read", {}),
        (" x", "read", {}),
        ("x" * 65, "read", {}),
        ("a\nb", "read", {}),
        ("x", "everything", {}),
        ("x", "read", {"client_id": ""}),
        ("x", "read", {"client_id": "c" * 129}),
        ("x", "read", {"days": 0.0}),
        ("x", "read", {"days": 1e9}),
    ]
    for name, scope, more in wrong:
        with pytest.raises(BadRequest):
            await control.key_add(name, scope, actor="t", **more)
    assert await control.keys() == []


async def test_names_are_given_once_and_free_again_when_revoked(control: Control) -> None:
    """Two good keys of one name could not be told apart; nobody's is nobody's."""
    first = await control.key_add("x", "read", actor="t")
    with pytest.raises(BadRequest, match="already"):
        await control.key_add("x", "read", actor="t")
    await control.key_revoke(first["key_id"], actor="t")
    second = await control.key_add("x", "read", actor="t")
    assert (await control.key_revoke("x", actor="t"))["key_id"] == second["key_id"]
    with pytest.raises(NoSuchKey) as missed:
        await control.key_revoke("nobody", actor="t")
    assert missed.value.exit_code == 4


@pytest.fixture
async def store(tmp_path: Path) -> Store:
    return await Store.open(tmp_path / "keys.db", now_ms=0, durability="normal")


async def test_a_key_expires(store: Store, clock: ManualClock) -> None:
    """To the millisecond, in this process and the next."""
    async with store:
        ring = Keyring(store.keys, clock)
        made = await ring.add("x", "read", None, 1, "t")
        await clock.advance(DAY_MS / 1000 - 1)
        assert ring.find(made["key"]) is not None
        assert ring.any_good
        await clock.advance(1)
        assert ring.find(made["key"]) is None
        assert not ring.any_good
        again = Keyring(store.keys, clock)
        await again.load()
        assert again.find(made["key"]) is None


async def test_last_uses_are_written_at_most_once_a_minute(store: Store, clock: ManualClock) -> None:
    """However often a key is used; at once in what is shown; kept while the disk refuses."""
    async with store:
        ring = Keyring(store.keys, clock)
        key = (await ring.add("x", "read", None, None, "t"))["key"]
        before = store.stats.writer.jobs
        for _ in range(50):
            assert ring.find(key) is not None
        assert ring.all()[0]["used_at"] == pytest.approx(clock.now(), abs=0.01)
        assert (await store.keys.all())[0].used_ms is None
        await ring.note()
        await ring.note()
        assert store.stats.writer.jobs == before + 1
        assert (await store.keys.all())[0].used_ms == int(clock.now() * 1000)
    ring.find(key)
    await ring.note()
    assert ring.all()[0]["used_at"] is not None
    assert ring._used


async def test_wrong_secrets_of_a_right_id_open_nothing(store: Store, clock: ManualClock) -> None:
    """Half right is wrong; nothing is noted as used."""
    async with store:
        ring = Keyring(store.keys, clock)
        key = (await ring.add("x", "admin", None, None, "t"))["key"]
        for wrong in (
            key[:-1],
            key + "x",
            key.upper(),
            key.replace("bdk", "bdx"),
            f"{key[:13]}{'A' * 43}",
            "",
            "\ud800",
        ):
            assert ring.find(wrong) is None
        assert ring.all()[0]["used_at"] is None


async def test_a_key_is_taken_out_of_every_text(store: Store, clock: ManualClock) -> None:
    """Without having been told of it: by its looks, in a URL and in JSON too."""
    async with store:
        key = (await Keyring(store.keys, clock).add("x", "admin", None, None, "t"))["key"]
    for text in (key, f"Authorization: Bearer {key}", f'{{"key": "{key}"}}', f"/v1?key={key}&a=1", f"bot_{key}"):
        assert key.split("_")[2] not in Redactor().clean(text)


async def test_a_minute_passes_and_uses_are_written(fleet: Fleet) -> None:
    """The fleet writes them down at its end at the latest."""
    made = await fleet.control.key_add("x", "read", actor="t")
    fleet.keys.find(made["key"])
    await fleet.keys.note()

    async def written() -> bool:
        return (await fleet.store.keys.all())[0].used_ms is not None

    await eventually(written)
