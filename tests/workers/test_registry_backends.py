"""What every backend of a registry promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store.registrations import KEPT_VERSIONS, Query
from tests.workers.registry_rig import BACKENDS, open_world
from workers.registrations.base import Registration, RegistryBackend

pytestmark = pytest.mark.anyio


@pytest.fixture(params=BACKENDS)
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RegistryBackend]:
    async with open_world(tmp_path) as world:
        made: RegistryBackend = BACKENDS[request.param]()
        await made.initialize(world.services)
        yield made
        await made.close()


async def test_what_is_put_is_got(backend: RegistryBackend) -> None:
    config = {"llm": {"options": {"x": [1, 2.5, True, None, "ü\U0001f600"]}}}
    put = await backend.put("acme", config, "active", {"plan": "pro"}, 1000)
    assert put == Registration("acme", 1, "active", config, {"plan": "pro"}, 1000, 1000)
    assert await backend.get("acme") == put
    assert await backend.get("other") is None
    assert put.as_dict()["config"] == config


async def test_what_is_handed_out_is_the_callers_own(backend: RegistryBackend) -> None:
    config = {"llm": {"options": {"x": 1}}}
    put = await backend.put("acme", config, "active", {}, 1000)
    config["llm"]["options"]["x"] = 2
    put.config["llm"]["options"]["x"] = 3
    found = await backend.get("acme")
    assert found is not None
    assert found.config["llm"]["options"]["x"] == 1


async def test_versions_are_counted_and_kept(backend: RegistryBackend) -> None:
    await backend.put("acme", {"name": "a"}, "active", {"n": 1}, 1000)
    await backend.put("acme", {"name": "b"}, "active", {"n": 2}, 2000)
    third = await backend.put("acme", None, "inactive", None, 3000)
    assert (third.version, third.status, third.config, third.metadata) == (3, "inactive", {"name": "b"}, {"n": 2})
    assert (third.created_ms, third.updated_ms) == (1000, 3000)
    history = await backend.history("acme")
    assert [(v.version, v.config["name"], v.updated_ms) for v in history] == [
        (1, "a", 1000),
        (2, "b", 2000),
        (3, "b", 3000),
    ]
    assert {v.created_ms for v in history} == {1000}
    assert await backend.history("other") == []


async def test_nothing_is_taken_over_from_nothing(backend: RegistryBackend) -> None:
    with pytest.raises(KeyError):
        await backend.put("acme", None, "inactive", None, 1000)
    with pytest.raises(KeyError):
        await backend.put("acme", {}, "inactive", None, 1000)
    assert await backend.history("acme") == []


async def test_of_many_versions_the_first_and_the_newest_are_kept(backend: RegistryBackend) -> None:
    for number in range(KEPT_VERSIONS + 5):
        await backend.put("acme", {}, "active", {}, 1000 + number)
    versions = [found.version for found in await backend.history("acme")]
    assert versions == [1, *range(6, KEPT_VERSIONS + 6)]
    newest = await backend.get("acme")
    assert newest is not None
    assert newest.created_ms == 1000


async def test_a_clock_set_back_makes_no_bot_younger_than_its_versions(backend: RegistryBackend) -> None:
    await backend.put("acme", {}, "active", {}, 5000)
    assert (await backend.put("acme", {}, "active", {}, 4000)).created_ms == 4000
    assert {found.created_ms for found in await backend.history("acme")} == {4000}


async def fill(backend: RegistryBackend) -> None:
    for at, (bot_id, status, metadata) in enumerate(
        [
            ("support-b", "active", {"plan": "pro", "seats": 5, "trial": True}),
            ("support-a", "active", {"plan": "free", "seats": 5.0}),
            ("sales-a", "inactive", {"plan": "pro", "seats": "5", "trial": 1}),
            ("sales-b", "removed", {}),
            ("sales-c", "active", {"plan": None}),
        ]
    ):
        await backend.put(bot_id, {"name": bot_id}, "active", {}, 1000 + at)
        await backend.put(bot_id, None, status, metadata, 9000 - at)


FILTERS: list[tuple[dict[str, object] | None, list[str]]] = [
    (None, ["sales-c", "support-a", "support-b"]),
    ({"status": "inactive"}, ["sales-a"]),
    ({"status": ["inactive", "removed"]}, ["sales-a", "sales-b"]),
    ({"status": []}, []),
    ({"bot_id": "support-*"}, ["support-a", "support-b"]),
    ({"bot_id": "*-a", "status": ("active", "inactive")}, ["sales-a", "support-a"]),
    ({"bot_id": "support-?"}, ["support-a", "support-b"]),
    ({"bot_id": "support-a"}, ["support-a"]),
    ({"bot_id": "SUPPORT-a"}, []),
    ({"metadata.plan": "pro"}, ["support-b"]),
    ({"metadata.plan": None}, ["sales-c"]),
    ({"metadata.seats": 5}, ["support-b"]),
    ({"metadata.seats": 5.0}, ["support-a"]),
    ({"metadata.seats": "5", "status": "inactive"}, ["sales-a"]),
    ({"metadata.trial": True}, ["support-b"]),
    ({"metadata.trial": 1, "status": "inactive"}, ["sales-a"]),
    ({'metadata.a"b': 1}, []),
]
ORDERS = [
    ("bot_id", ["sales-c", "support-a", "support-b"]),
    ("-bot_id", ["support-b", "support-a", "sales-c"]),
    ("created_ms", ["support-b", "support-a", "sales-c"]),
    ("-updated_ms", ["support-b", "support-a", "sales-c"]),
    ("updated_ms", ["sales-c", "support-a", "support-b"]),
    ("status", ["sales-c", "support-a", "support-b"]),
    ("-version", ["sales-c", "support-a", "support-b"]),
]


async def test_filters(backend: RegistryBackend) -> None:
    await fill(backend)
    for wanted, found in FILTERS:
        query = Query.of(wanted)
        assert (wanted, [each.bot_id for each in await backend.find(query)]) == (wanted, found)
        assert await backend.count(query) == len(found)


async def test_orders(backend: RegistryBackend) -> None:
    """Equals lie in the order of their ids, whichever way round."""
    await fill(backend)
    for sort, found in ORDERS:
        assert (sort, [each.bot_id for each in await backend.find(Query.of(sort=sort))]) == (sort, found)


async def test_pages(backend: RegistryBackend) -> None:
    await fill(backend)

    async def page(limit: int | None, offset: int) -> list[str]:
        return [each.bot_id for each in await backend.find(Query.of(limit=limit, offset=offset))]

    assert await page(2, 0) == ["sales-c", "support-a"]
    assert await page(2, 2) == ["support-b"]
    assert await page(None, 1) == ["support-a", "support-b"]
    assert await page(0, 0) == await page(5, 9) == []
    assert await backend.count(Query.of(limit=1, offset=1)) == 3


async def test_what_is_deleted_is_gone(backend: RegistryBackend) -> None:
    await backend.put("acme", {}, "active", {}, 1000)
    assert await backend.delete("acme")
    assert not await backend.delete("acme")
    assert await backend.history("acme") == []
    assert (await backend.put("acme", {}, "active", {}, 2000)).version == 1


@pytest.mark.parametrize(
    ("wanted", "sort", "limit", "said"),
    [
        ({"staus": "active"}, "bot_id", None, "no filter"),
        ({"status": "activ"}, "bot_id", None, "did you mean active"),
        ({"bot_id": "[a]"}, "bot_id", None, "bot_id"),
        ({"metadata.x": []}, "bot_id", None, "metadata.x"),
        (None, "update_ms", None, "did you mean updated_ms"),
        (None, "bot_id", -1, "limit"),
    ],
)
def test_queries_that_are_none(wanted: dict[str, object] | None, sort: str, limit: int | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Query.of(wanted, sort, limit)
