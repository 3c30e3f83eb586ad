"""Bots registered by programs: made when asked for, held by use, never closed in somebody's hands, deactivated for all."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigInvalid
from store.errors import StoreUnavailable
from tests.waiting import eventually
from tests.workers.registry_rig import CountedBackend, World, register, talk
from workers.errors import UnknownBot
from workers.registry import BotRegistry

pytestmark = pytest.mark.anyio


# --- registering and asking --------------------------------------------------------------------------------------


async def test_a_registered_bot_answers_over_the_base(world: World) -> None:
    async with world.registry(config={"reply": {"max_parts": 3}, "prompts": {"system": "base"}}) as registry:
        registration = await registry.register("acme", {"prompts": {"system": "own"}}, metadata={"plan": "pro"})
        bot = await registry.get_bot("acme")
        assert await bot.chat("hello", talk()) == "re hello"
        assert (world.model.systems, bot.spec().config.reply.max_parts) == (["own"], 3)
        assert (registration.version, registration.metadata, registration.status) == (1, {"plan": "pro"}, "active")
        assert await registry.get_registration("acme") == registration
        assert await registry.get_config("acme") == {"prompts": {"system": "own"}}


async def test_a_bot_asked_for_again_is_the_same_without_a_look(registry: BotRegistry, backend: CountedBackend) -> None:
    await register(registry, "acme")
    bot = await registry.get_bot("acme")
    reads = backend.reads
    assert [await registry.get_bot("acme") for _ in range(5)] == [bot] * 5
    assert backend.reads == reads


async def test_many_who_ask_at_once_have_it_made_once(registry: BotRegistry, backend: CountedBackend) -> None:
    await register(registry, "acme")
    backend.reads = 0
    bots = await asyncio.gather(*(registry.get_bot("acme") for _ in range(50)))
    assert (len(set(map(id, bots))), backend.reads) == (1, 1)


async def test_an_unknown_id_names_the_nearest(registry: BotRegistry) -> None:
    await register(registry, "support", "sales")
    for asked in ("suport", "SUPPORT", "upport"):
        with pytest.raises(KeyError, match=r"did you mean support\?"):
            await registry.get_bot(asked)
    with pytest.raises(UnknownBot, match="register it"):
        await registry.get_bot("nothing-like-it")
    assert not await registry.exists("no such bot")
    assert await registry.get_config("no such bot") is None
    assert await registry.history("no such bot") == []


async def test_the_table_of_config_key_is_the_bots_own(world: World) -> None:
    async with world.registry() as registry:
        config = {"bot": {"prompts": {"system": "wrapped"}}, "version": "1"}
        await registry.register("acme", config)
        assert (await registry.get_bot("acme")).spec().config.prompts.system == "wrapped"
        assert await registry.get_config("acme") == config
        with pytest.raises(ConfigInvalid, match=r'llm: stands beside "bot"'):
            await registry.register("other", {"bot": {}, "llm": {"temperature": 1}})


async def test_resources_of_the_environment(world: World, tmp_path: Path) -> None:
    (tmp_path / "production.toml").write_text("[llm_providers.default]\ntemperature = 0.5\n")
    async with world.registry(environment="production", env_dir=tmp_path) as registry:
        await registry.register("acme", {"llm": {"$resource": "default", "type": "llm_providers"}})
        assert (await registry.get_bot("acme")).spec().config.llm.temperature == 0.5
        with pytest.raises(ConfigInvalid, match=r"did you mean default\?"):
            await registry.register("acme", {"llm": {"$resource": "defaul", "type": "llm_providers"}})


async def test_secrets_of_a_bot_are_taken_out_of_what_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_KEY", "a-key-of-acme")
    async with world.registry() as registry:
        await registry.register("acme", {"llm": {"api_key": "${ACME_KEY}"}})
        await registry.get_bot("acme")
        assert "a-key-of-acme" not in world.services.redact("it was a-key-of-acme")


# --- validation --------------------------------------------------------------------------------------------------


async def test_everything_wrong_is_told_at_once_and_nothing_stored(registry: BotRegistry) -> None:
    config = {
        "llm": {"base_url": "http://localhost:1", "api_key": "literal", "modl": "x"},
        "memory": {"type": "vector"},
    }
    with pytest.raises(ConfigInvalid) as raised:
        await registry.register("acme", config)
    assert {problem.key for problem in raised.value.problems} == {
        "llm.base_url",
        "llm.api_key",
        "llm.modl",
        "memory.type",
    }
    assert "literal" not in str(raised.value)
    assert not await registry.exists("acme")


async def test_a_large_one_is_checked_as_well(registry: BotRegistry) -> None:
    """In a thread, as it takes its time."""
    await registry.register("acme", {"prompts": {"system": "word " * 10_000}})
    with pytest.raises(ConfigInvalid, match=r"voice\.base_url"):
        await registry.register("acme", {"prompts": {"system": "word " * 10_000}, "voice": {"base_url": "http://0"}})


async def test_validation_can_be_left_out(world: World) -> None:
    config = {"llm": {"base_url": "http://localhost:1"}}
    async with world.registry(validate_on_register=False) as registry:
        await registry.register("acme", config)
        assert (await registry.get_bot("acme")).spec().config.llm.base_url == "http://localhost:1"
    async with world.registry() as registry:
        await registry.register("acme", config, skip_validation=True)
        await registry.register("bad", {"memory": {"type": "vector"}}, skip_validation=True)
        with pytest.raises(ConfigInvalid, match=r"memory\.type"):
            await registry.get_bot("bad")
        circle: dict[str, Any] = {}
        circle["x"] = circle
        with pytest.raises(ConfigInvalid, match="nested"):
            await registry.register("acme", circle, skip_validation=True)
        with pytest.raises(ConfigInvalid, match="type set"):
            await registry.register("acme", {}, metadata={"x": {1}})


async def test_what_is_no_id_or_status_or_limit(registry: BotRegistry) -> None:
    with pytest.raises(ValueError, match="cannot name a bot"):
        await registry.register("A B", {})
    with pytest.raises(ValueError, match="there are: active, inactive"):
        await registry.register("acme", {}, status="removed")
    with pytest.raises(ValueError, match="cache_ttl"):
        BotRegistry(cache_ttl=-1)
    with pytest.raises(ValueError, match="max_cache_size"):
        BotRegistry(max_cache_size=0)


# --- the cache ---------------------------------------------------------------------------------------------------


async def test_the_least_recently_used_is_forgotten(registry: BotRegistry) -> None:
    """Used, not made: the busiest bot stays, however old it is."""
    await register(registry, "a", "b", "c", "d", "e")
    for bot_id in ("a", "b", "c", "a", "d"):
        await registry.get_bot(bot_id)
    assert registry.get_cached_bots() == ["c", "a", "d"]
    for bot_id in ("a", "e"):
        await registry.get_bot(bot_id)
    assert registry.get_cached_bots() == ["d", "a", "e"]
    assert registry.get_cached_clients() == registry.get_cached_bots()


async def test_a_forgotten_bot_goes_on_in_somebodys_hands(registry: BotRegistry, world: World) -> None:
    """In mid-answer, and before the next question; asked for again it is the same one, and then gone with its holder."""
    await register(registry, "a", "b", "c", "d")
    bot = await registry.get_bot("a")
    world.model.hold()
    asking = asyncio.create_task(bot.chat("hello", talk()))
    await eventually(lambda: world.model.waiting)
    for bot_id in ("b", "c", "d"):
        await registry.get_bot(bot_id)
    assert "a" not in registry.get_cached_bots()
    world.model.release()
    assert await asking == "re hello"
    assert await bot.chat("again", talk()) == "re again"
    assert await registry.get_bot("a") is bot


async def test_what_nobody_holds_is_gone(registry: BotRegistry) -> None:
    await register(registry, "a", "b", "c", "d")
    for bot_id in ("a", "b", "c", "d"):
        await registry.get_bot(bot_id)
    gc.collect()
    assert registry._living.there("a") is None
    assert registry._living.there("d") is not None


async def test_after_its_time_a_registration_is_looked_at_again(
    registry: BotRegistry, backend: CountedBackend, world: World
) -> None:
    """Monotonic time: a wall clock set back or forth changes nothing. The conversation goes on."""
    await register(registry, "acme")
    bot = await registry.get_bot("acme")
    await bot.chat("one", talk())
    await backend.put("acme", {"prompts": {"system": "new"}}, "active", {}, 0)  # somebody else's change
    world.clock.jump(1000)
    reads = backend.reads
    await world.clock.advance(299)
    assert (await registry.get_bot("acme"), backend.reads) == (bot, reads)
    await world.clock.advance(1)
    assert (await registry.get_bot("acme"), backend.reads) == (bot, reads + 1)
    await bot.chat("two", talk())
    assert world.model.systems == ["I am acme.", "new"]
    conversation = await bot.get_conversation(talk())
    assert conversation is not None
    assert conversation.turns == 2


async def test_what_cannot_be_read_again_leaves_a_bot_as_it_was(
    registry: BotRegistry, backend: CountedBackend, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await register(registry, "acme")
    bot = await registry.get_bot("acme")
    await world.clock.advance(301)
    for error in (StoreUnavailable("the disk is away"), ConfigInvalid(())):
        backend.error = error
        assert await registry.get_bot("acme") is bot
        assert "acme goes on as it was" in caplog.text
        reads = backend.reads
        assert (await registry.get_bot("acme"), backend.reads) == (bot, reads)
        with pytest.raises(type(error)):
            await registry.get_bot("acme", force_refresh=True)
        assert await bot.chat("hello", talk()) == "re hello"
        await world.clock.advance(5)
    backend.error = None
    reads = backend.reads
    await registry.get_bot("acme")
    await registry.get_bot("acme")
    assert backend.reads == reads + 1


async def test_a_refresh_takes_what_is_registered_when_it_works(
    registry: BotRegistry, backend: CountedBackend, world: World
) -> None:
    await register(registry, "acme")
    bot = await registry.get_bot("acme")
    await backend.put("acme", {"memory": {"type": "vector"}}, "active", {}, 0)
    with pytest.raises(ConfigInvalid):
        await registry.get_bot("acme", force_refresh=True)
    assert await bot.chat("one", talk()) == "re one"
    await backend.put("acme", {"prompts": {"system": "new"}}, "active", {}, 0)
    assert await registry.get_bot("acme", force_refresh=True) is bot
    await bot.chat("two", talk())
    assert world.model.systems == ["I am acme.", "new"]


async def test_a_refresh_sees_variables_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHO", "one")
    async with world.registry() as registry:
        await registry.register("acme", {"prompts": {"system": "${WHO}"}})
        bot = await registry.get_bot("acme")
        monkeypatch.setenv("WHO", "two")
        assert bot.spec().config.prompts.system == "one"
        await registry.get_bot("acme", force_refresh=True)
        assert bot.spec().config.prompts.system == "two"


async def test_a_new_version_counts_from_the_next_question_on(registry: BotRegistry, world: World) -> None:
    """The turn under way keeps what it began with; whoever holds the bot has the new one."""
    await register(registry, "acme")
    bot = await registry.get_bot("acme")
    world.model.hold()
    asking = asyncio.create_task(bot.chat("one", talk()))
    await eventually(lambda: world.model.waiting)
    await registry.register("acme", {"prompts": {"system": "new"}})
    world.model.release()
    await asking
    await bot.chat("two", talk())
    assert world.model.systems == ["I am acme.", "new"]


async def test_an_unchecked_version_is_looked_at_when_the_bot_is_asked_for(registry: BotRegistry) -> None:
    await register(registry, "acme")
    bot = await registry.get_bot("acme")
    await registry.register("acme", {"llm": {"base_url": "http://localhost:1"}}, skip_validation=True)
    assert await registry.get_bot("acme") is bot
    assert bot.spec().config.llm.base_url == "http://localhost:1"


async def test_an_emptied_cache_takes_nothing_from_anybody(registry: BotRegistry, backend: CountedBackend) -> None:
    await register(registry, "acme")
    bot = await registry.get_bot("acme")
    registry.clear_cache()
    assert registry.get_cached_bots() == []
    assert await bot.chat("hello", talk()) == "re hello"
    reads = backend.reads
    assert await registry.get_bot("acme") is bot
    assert backend.reads == reads + 1
    await registry.clear_cache()
    assert registry.get_cached_bots() == []
