"""Bots taken out, deactivated, brought back; registries that end and begin again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio.lowlevel
import pytest

from tests.waiting import eventually
from tests.workers.registry_rig import BACKENDS, CountedBackend, HeldBackend, World, open_world, register, talk
from workers.errors import BotClosed, UnknownBot, UnknownVersion
from workers.registry import BotRegistry, InMemoryBotRegistry, create_memory_registry

pytestmark = pytest.mark.anyio


# --- deactivated, removed, restored ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["deactivate", "unregister", "register", "remove_client", "erase"])
async def test_a_bot_taken_out_answers_nobody_whoever_holds_it(registry: BotRegistry, world: World, way: str) -> None:
    """What it was asked before is answered first; one forgotten by the cache is shut as well."""
    ways = {
        "deactivate": lambda: registry.deactivate("a"),
        "unregister": lambda: registry.unregister("a"),
        "register": lambda: registry.register("a", {}, status="inactive"),
        "remove_client": lambda: registry.remove_client("a"),
        "erase": lambda: registry.unregister("a", keep_history=False),
    }
    await register(registry, "a", "b", "c", "d")
    bot = await registry.get_bot("a")
    world.model.hold()
    asking = asyncio.create_task(bot.chat("hello", talk()))
    await eventually(lambda: world.model.waiting)
    for bot_id in ("b", "c", "d"):
        await registry.get_bot(bot_id)
    going = asyncio.ensure_future(ways[way]())
    await eventually(lambda: bot.closed)
    with pytest.raises(BotClosed):
        await bot.chat("more", talk())
    with pytest.raises(KeyError):
        await registry.get_bot("a")
    assert not going.done()
    world.model.release()
    assert await asking == "re hello"
    assert await going
    assert not await registry.exists("a")
    assert await registry.list_bots() == ["b", "c", "d"]


async def test_a_bot_is_shut_although_its_remover_is_gone(registry: BotRegistry, world: World) -> None:
    await register(registry, "a")
    bot = await registry.get_bot("a")
    world.model.hold()
    asking = asyncio.create_task(bot.chat("hello", talk()))
    await eventually(lambda: world.model.waiting)
    going = asyncio.create_task(registry.deactivate("a"))
    await eventually(lambda: bot.closed)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    world.model.release()
    assert await asking == "re hello"
    with pytest.raises(UnknownBot, match="is deactivated"):
        await registry.get_bot("a")


async def test_a_bot_deactivated_while_it_is_made_is_not_handed_out(world: World) -> None:
    backend = HeldBackend()
    async with world.registry(backend) as registry:
        await register(registry, "a")
        gate = backend.hold("get")
        asking = asyncio.create_task(registry.get_bot("a"))
        await eventually(lambda: not backend.gates)
        await registry.deactivate("a")
        gate.set()
        with pytest.raises(UnknownBot, match="is deactivated"):
            await asking


async def test_a_bot_is_shut_although_its_remover_left_while_it_was_written(world: World) -> None:
    backend = HeldBackend()
    async with world.registry(backend) as registry:
        await register(registry, "a")
        bot = await registry.get_bot("a")
        gate = backend.hold("put")
        going = asyncio.create_task(registry.deactivate("a"))
        await eventually(lambda: not backend.gates)
        going.cancel()
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await going
        assert bot.closed
        assert not await registry.exists("a")


async def test_a_bot_removed_meanwhile_is_not_brought_back_empty(world: World) -> None:
    backend = HeldBackend()
    async with world.registry(backend) as registry:
        await register(registry, "a")
        gate = backend.hold("get")
        stopping = asyncio.create_task(registry.deactivate("a"))
        await eventually(lambda: not backend.gates)
        removing = asyncio.create_task(registry.unregister("a"))
        await anyio.lowlevel.checkpoint()
        gate.set()
        assert await asyncio.gather(stopping, removing) == [True, True]
        assert await registry.get_registration("a") is None


async def test_one_removed_behind_the_registrys_back_ends_with_its_time(
    registry: BotRegistry, backend: CountedBackend, world: World
) -> None:
    await register(registry, "acme")
    bot = await registry.get_bot("acme")
    await backend.put("acme", None, "inactive", None, 0)
    await world.clock.advance(301)
    with pytest.raises(UnknownBot):
        await registry.get_bot("acme")
    with pytest.raises(BotClosed):
        await bot.chat("hello", talk())


async def test_a_bot_activated_again_knows_its_conversations(registry: BotRegistry) -> None:
    await register(registry, "acme")
    await (await registry.get_bot("acme")).chat("one", talk())
    assert await registry.deactivate("acme")
    assert await registry.deactivate("acme")
    assert await registry.list_bots({"status": "inactive"}) == ["acme"]
    assert await registry.activate("acme")
    bot = await registry.get_bot("acme")
    await bot.chat("two", talk())
    conversation = await bot.get_conversation(talk())
    assert conversation is not None
    assert conversation.turns == 2
    assert [found.status for found in await registry.history("acme")] == ["active", "inactive", "active"]


async def test_nobody_is_removed_twice(registry: BotRegistry) -> None:
    assert not await registry.deactivate("acme")
    assert not await registry.unregister("acme")
    assert not await registry.unregister("acme", keep_history=False)
    await register(registry, "acme")
    assert await registry.unregister("acme")
    assert not await registry.unregister("acme")
    assert not await registry.activate("acme")
    assert await registry.get_registration("acme") is None
    assert await registry.unregister("acme", keep_history=False)
    assert await registry.history("acme") == []


@pytest.mark.parametrize("kind", BACKENDS)
async def test_versions_are_compared_and_restored(world: World, kind: str) -> None:
    async with world.registry(BACKENDS[kind]()) as registry:
        await registry.register("acme", {"prompts": {"system": "a"}, "memory": {"type": "none"}}, metadata={"n": 1})
        await registry.register(
            "acme", {"prompts": {"system": "b"}, "llm": {"options": {"seed": 1}}}, metadata={"n": 2}
        )
        found = [(each.key, each.kind, each.before, each.after) for each in await registry.diff("acme", 1, 2)]
        assert found == [
            ("llm.options.seed", "added", None, 1),
            ("memory.type", "removed", "none", None),
            ("prompts.system", "changed", "a", "b"),
        ]
        await registry.unregister("acme")
        restored = await registry.restore("acme", 1)
        assert (restored.version, restored.status, restored.metadata) == (4, "active", {"n": 1})
        assert (await registry.get_bot("acme")).spec().config.prompts.system == "a"
        with pytest.raises(UnknownVersion, match=r"no version 9.*there are: 1, 2, 3, 4"):
            await registry.restore("acme", 9)
        with pytest.raises(KeyError):
            await registry.diff("other", 1, 2)


async def test_differences_show_no_secrets(registry: BotRegistry) -> None:
    one, two = {"llm": {"api_key": "first-key", "options": {"password": "a"}}}, {"llm": {"api_key": "${KEY}"}}
    await registry.register("acme", one, skip_validation=True)
    await registry.register("acme", two, skip_validation=True)
    found = await registry.diff("acme", 1, 2)
    assert "first-key" not in str(found)
    assert [each.after for each in found] == ["${KEY}", None]


async def test_changes_of_one_bot_come_one_after_the_other(world: World) -> None:
    """Whatever happens at once, the last version is what counts, and nothing is taken over from a removed one."""
    async with world.registry(BACKENDS["sqlite"]()) as registry:
        await register(registry, "acme")
        for _ in range(5):
            await asyncio.gather(
                registry.deactivate("acme"),
                registry.unregister("acme"),
                registry.activate("acme"),
                registry.register("acme", {"name": "x"}),
                registry.get_bot("acme"),
                return_exceptions=True,
            )
        versions = await registry.history("acme")
        assert [found.version for found in versions] == list(range(1, len(versions) + 1))
        assert all(found.config for found in versions if found.status != "removed")
        assert (await registry.exists("acme")) == (versions[-1].status == "active")


async def test_many_are_listed_and_counted(registry: BotRegistry) -> None:
    for number in range(5):
        await registry.register(f"bot-{number}", {}, metadata={"even": number % 2 == 0})
    await registry.deactivate("bot-4")
    assert await registry.list_bots() == ["bot-0", "bot-1", "bot-2", "bot-3"]
    assert await registry.list_bots({"metadata.even": True}, sort="-bot_id", limit=1, offset=1) == ["bot-0"]
    assert [each.bot_id for each in await registry.list_registrations({"status": "inactive"})] == ["bot-4"]
    assert (await registry.count(), await registry.count({"status": ["active", "inactive"]})) == (4, 5)


# --- its life ----------------------------------------------------------------------------------------------------


async def test_registrations_and_conversations_outlive_the_process(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world, world.registry(BACKENDS["sqlite"]()) as registry:
        await registry.register("acme", {"prompts": {"system": "kept"}})
        await (await registry.get_bot("acme")).chat("one", talk())
    async with open_world(tmp_path) as world, world.registry(BACKENDS["sqlite"]()) as registry:
        bot = await registry.get_bot("acme")
        await bot.chat("two", talk())
        conversation = await bot.get_conversation(talk())
        assert conversation is not None
        assert (conversation.turns, world.model.systems) == (2, ["kept"])


async def test_closed_it_answers_nobody_and_waits_for_what_was_asked(world: World) -> None:
    registry = world.registry()
    await register(registry, "a", "b")
    bot = await registry.get_bot("a")
    world.model.hold()
    asking = asyncio.create_task(bot.chat("hello", talk()))
    await eventually(lambda: world.model.waiting)
    closing = asyncio.create_task(registry.close())
    await eventually(lambda: bot.closed)
    for refused in (registry.get_bot("a"), registry.get_bot("b"), registry.register("c", {}), registry.count()):
        with pytest.raises(BotClosed):
            await refused
    world.model.release()
    assert await asking == "re hello"
    await closing
    await registry.close()
    assert world.store.fault is None
    assert len(await world.store.states()) == 1  # the services are the fleet's, and stay open


async def test_a_registry_of_its_own_opens_a_database_when_it_is_used(tmp_path: Path) -> None:
    base = {"llm": {"provider": "echo"}}
    async with BotRegistry(BACKENDS["sqlite"](), config=base, database=tmp_path / "bots.db") as registry:
        await registry.register_client("acme", {"system_prompt": "x"})
        assert await (await registry.get_bot("acme")).chat("hello", talk()) == "hello"
    async with BotRegistry(BACKENDS["sqlite"](), config=base, database=tmp_path / "bots.db") as registry:
        assert await registry.list_bots() == ["acme"]


async def test_a_registry_in_memory(world: World) -> None:
    registry = create_memory_registry(None, "environments", 60, 10, services=world.services)
    assert isinstance(registry, InMemoryBotRegistry)
    assert (registry.cache_ttl, registry.max_cache_size) == (60, 10)
    await register(registry, "a", "b")
    await registry.deactivate("a")
    await registry.unregister("b")
    await registry.clear()
    assert await registry.count({"status": ["active", "inactive", "removed"]}) == 0
    await registry.close()
