"""What bots spent and what is known of people, inside the fleet's process and over its socket."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.accounts import spent
from console.control import Control, EventQuery
from console.errors import BadRequest
from console.offline import Offline
from console.place import Place
from console.runtime import Fleet
from console.sandbox.server import Sandbox
from store import migrate
from store.database import Store
from store.errors import StoreOpenError
from store.usage import Tokens
from tests.console.talking import talk
from tests.store.filling import query
from tests.waiting import eventually
from workers.errors import NoSuchBot

pytestmark = pytest.mark.anyio


async def test_usage_is_summed_by_what_is_asked(control: Control, double: Sandbox, fleet: Fleet) -> None:
    """By day, chat, person and model; of one bot or all; a free model's cost is known, an unknown one's is said."""
    await talk(double, "alpha_bot", "hello")
    await talk(double, "beta_bot", "hello")
    (day,) = await control.usage(["alpha"], by="day", days=1)
    assert day["key"] == f"{datetime.now(tz=UTC):%Y-%m-%d}"
    assert (day["bot_id"], day["calls"], day["cost"], day["unpriced"]) == ("alpha", 1, 0.0, 0)
    assert day["tokens_in"] > 0
    lost = Tokens("openai", "a-model-nobody-sells", 1_000_000, 5)
    await fleet.store.partition("alpha").usage.add("", "7", "42", lost, int(fleet.clock.now() * 1000))
    models = await control.usage(["al*"], by="model", days=1)
    assert [(row["key"], row["cost"], row["unpriced"]) for row in models] == [
        ("a-model-nobody-sells", None, 1), (models[1]["key"], 0.0, 0)
    ]  # fmt: skip
    (day,) = await control.usage(["alpha"], by="day", days=1)
    assert (day["calls"], day["cost"], day["unpriced"]) == (2, 0.0, 1)
    assert [row["bot_id"] for row in await control.usage([], by="user", days=1)] == ["alpha", "alpha", "beta"]
    for by, days in (("shoe", 1), ("day", 0), ("day", 100_000)):
        with pytest.raises(BadRequest):
            await control.usage([], by=by, days=days)
    with pytest.raises(NoSuchBot):
        await control.usage(["nobody"], by="day", days=1)


async def test_a_day_is_that_of_the_bots_zone(tmp_path: Path) -> None:
    """Half past eleven in London is tomorrow in Berlin, and what was before the first day does not count."""
    noon = int(datetime(2025, 6, 10, 12, tzinfo=UTC).timestamp())
    async with await Store.open(tmp_path / "x.db", now_ms=1) as store:
        usage = store.partition("a").usage
        for hours, model, cost in ((-36.5, "m", 1), (-12.5, "m", 2_000_000_000), (0.0, "m", None), (1.0, "n", 3)):
            await usage.add("", "7", "42", Tokens("p", model, 1, 1, 0, 0, cost), (noon + int(hours * 3600)) * 1000)
        berlin = await spent(usage, "a", "day", 2, "Europe/Berlin", noon + 7200)
        utc = await spent(usage, "a", "day", 2, "", noon + 7200)
    assert [(row["key"], row["calls"]) for row in berlin] == [("2025-06-09", 1), ("2025-06-10", 3)]
    assert [(row["key"], row["calls"]) for row in utc] == [("2025-06-09", 1), ("2025-06-10", 2)]
    assert [(row["cost"], row["unpriced"]) for row in berlin] == [(1e-9, 0), (2.000000003, 1)]


async def test_a_database_of_an_older_botdeck_is_named_as_such(tmp_path: Path) -> None:
    """Not upgraded yet, its fleet not running: one sentence, and nothing is written."""
    path = tmp_path / "botdeck.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate.migrate(connection, 1, upto=1)
        connection.execute("INSERT INTO bots (bot_id, created_ms, updated_ms) VALUES ('a', 1, 1)")
    before = path.read_bytes()
    with pytest.raises(StoreOpenError, match="older botdeck"):
        await Offline(Place(tmp_path, path, "old")).usage([], by="day", days=1)
    assert path.read_bytes() == before


async def test_a_fleet_condenses_beside_its_answers(control: Control, double: Sandbox, fleet: Fleet) -> None:
    """Turned on in the file: older turns become a summary, which is in the ledger and gone with the bot."""
    path = fleet.place.root / "bots" / "alpha.toml"
    path.write_text(path.read_text() + '\n[memory]\ntype = "summary"\nmax_messages = 2\n')
    await control.reload(actor="test")
    for number in range(4):
        await talk(double, "alpha_bot", f"hello {number}")
    (row,) = await control.conversations("alpha")
    await eventually(lambda: query(fleet.place.database, "SELECT upto_seq > 0 FROM summaries") == [(1,)])
    assert fleet.engine.summaries is not None
    (spent_on,) = await control.usage(["alpha"], by="user", days=1)
    assert (spent_on["key"], spent_on["calls"] > row["turns"]) == (row["user_id"], True)
    await control.remove_bot("alpha", actor="test")
    assert query(fleet.place.database, "SELECT * FROM summaries") == []


async def test_a_profile_is_shown_and_put_right(control: Control) -> None:
    """Set, replaced and deleted by the operator, whose name stands with it; refused as a whole beyond the limits."""
    assert await control.profile("alpha", "501") == []
    facts = await control.profile("alpha", "501", changes={"name": "Ann", "city": "Bern"}, actor="cli:ana")
    assert [(fact["fact"], fact["value"], fact["by"]) for fact in facts] == [
        ("city", "Bern", "cli:ana"), ("name", "Ann", "cli:ana")
    ]  # fmt: skip
    facts = await control.profile("alpha", "501", changes={"city": None, "name": "Anna"}, actor="cli:ana")
    assert [(fact["fact"], fact["value"]) for fact in facts] == [("name", "Anna")]
    with pytest.raises(BadRequest, match="500"):
        await control.profile("alpha", "501", changes={"ok": "yes", "long": "x" * 501}, actor="cli:ana")
    assert await control.profile("alpha", "501") == facts
    assert await control.profile("beta", "501") == []
    events = await control.events(EventQuery(("alpha",), kinds=("OperatorActed",)))
    assert [event["actor"] for event in events] == ["cli:ana", "cli:ana"]
    with pytest.raises(NoSuchBot):
        await control.profile("nobody", "501")
