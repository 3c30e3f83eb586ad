"""Bots made by id: each once, none delayed by another, none closed in mid-chat, nothing lost when one is exchanged."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from config.errors import ConfigInvalid
from tests.waiting import eventually
from tests.workers.talk_rig import ALICE, Place, place
from workers.bot import Bot
from workers.clock import ManualClock
from workers.errors import BotClosed, LoaderUnusable
from workers.manager import BotManager

pytestmark = pytest.mark.anyio

ECHO: dict[str, Any] = {"llm": {"provider": "echo"}}


@pytest.fixture
async def here(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Place]:
    async with place(tmp_path, clock) as made:
        yield made


class Loader:
    """Gives what the test says, when it says so."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.configs: dict[str, Any] = {}
        self.gates: dict[str, asyncio.Event] = {}

    async def load(self, bot_id: str) -> Any:
        self.calls.append(bot_id)
        if bot_id in self.gates:
            await self.gates[bot_id].wait()
        config = self.configs.get(bot_id, ECHO)
        if isinstance(config, Exception):
            raise config
        return config

    def hold(self, bot_id: str) -> None:
        self.gates[bot_id] = asyncio.Event()

    def release(self, bot_id: str) -> None:
        self.gates.pop(bot_id).set()


@pytest.fixture
def loader() -> Loader:
    return Loader()


@pytest.fixture
async def manager(here: Place, loader: Loader) -> AsyncIterator[BotManager]:
    async with BotManager(loader, services=here.services) as made:
        yield made


# --- one bot -----------------------------------------------------------------------------------------------------


async def test_a_bot_is_made_once_and_kept(here: Place) -> None:
    """With a configuration of its own the first time; then without."""
    async with BotManager(services=here.services) as manager:
        assert await manager.get("support") is None
        bot = await manager.get_or_create("support", config={**ECHO, "system_prompt": "Be kind."})
        assert bot.spec().config.prompts.system == "Be kind."
        assert await manager.get_or_create("support") is bot
        assert await manager.get("support") is bot
        assert (manager.list_bots(), manager.get_bot_count()) == (["support"], 1)
        assert await bot.chat("hello", ALICE) == "re hello"


async def test_neither_configuration_nor_loader_names_the_bot(here: Place) -> None:
    async with BotManager(services=here.services) as manager:
        with pytest.raises(ValueError, match="support"):
            await manager.get_or_create("support")
        await manager.get_or_create("support", ECHO)
        with pytest.raises(ValueError, match="support"):
            await manager.reload("support")


@pytest.mark.parametrize("bot_id", ["", "../../etc/passwd", "Support", "a b", "x" * 51])
async def test_an_id_that_is_none_reaches_no_loader(manager: BotManager, loader: Loader, bot_id: str) -> None:
    """A loader that makes a path of it must not be led astray."""
    for call in (manager.get_or_create(bot_id), manager.reload(bot_id)):
        with pytest.raises(ValueError, match="cannot name a bot"):
            await call
    assert loader.calls == []


async def test_a_bad_configuration_is_told_whole(manager: BotManager, loader: Loader) -> None:
    """Every problem by its key; the id is free for another try."""
    loader.configs["support"] = {"llm": {"provider": "nobody"}, "promts": {}}
    with pytest.raises(ConfigInvalid) as caught:
        await manager.get_or_create("support")
    assert {problem.key for problem in caught.value.problems} == {"llm.provider", "promts"}
    loader.configs["support"] = ECHO
    assert (await manager.get_or_create("support")).bot_id == "support"


async def test_base_and_environment_lie_beneath(here: Place) -> None:
    """What a bot's own mapping does not say, and what its $resource stands for."""
    base = {
        "llm": {"$resource": "default", "type": "llm_providers"},
        "prompts": {"system": "Base."},
        "memory": {"max_messages": 7},
    }
    resources = {"llm_providers": {"default": {"provider": "echo", "model": "m"}}}
    async with BotManager(None, resources, services=here.services, base=base) as manager:
        bot = await manager.get_or_create("support", {"prompts": {"system": "Own."}})
        config = bot.spec().config
        assert (config.llm.model, config.prompts.system, config.memory.max_messages) == ("m", "Own.", 7)


# --- loaders -----------------------------------------------------------------------------------------------------


def plain(bot_id: str) -> Any:
    return {**ECHO, "name": f"{bot_id} {threading.current_thread() is threading.main_thread()}"}


async def waiting(bot_id: str) -> Any:
    await anyio.sleep(0)
    return plain(bot_id)


class Called:
    def __call__(self, bot_id: str) -> Any:
        return plain(bot_id)


class CalledLater:
    async def __call__(self, bot_id: str) -> Any:
        return plain(bot_id)


class Loads:
    def load(self, bot_id: str) -> Any:
        return plain(bot_id)


class LoadsLater:
    async def load(self, bot_id: str) -> Any:
        return plain(bot_id)


@pytest.mark.parametrize(
    ("loader", "on_loop"),
    [
        (plain, False), (waiting, True), (Called(), False), (CalledLater(), True), (Loads(), False), (LoadsLater(), True),
        (lambda bot_id: waiting(bot_id), True),
    ],
)  # fmt: skip
async def test_whatever_loads_is_a_loader(here: Place, loader: Any, on_loop: bool) -> None:
    """What is no coroutine runs in a thread: it must not hold up the loop."""
    async with BotManager(loader, services=here.services) as manager:
        bot = await manager.get_or_create("support")
        assert bot.spec().config.name == f"support {on_loop}"


@pytest.mark.parametrize("given", [None, [], "text", 7])
async def test_a_loader_that_gives_no_mapping_is_named(here: Place, given: Any) -> None:
    class Careless:
        def load(self, bot_id: str) -> Any:
            return given

    async with BotManager(Careless(), services=here.services) as manager:
        with pytest.raises(LoaderUnusable, match=r"Careless gave \w+ for support"):
            await manager.get_or_create("support")
        assert manager.list_bots() == []


def test_what_cannot_load_is_no_loader() -> None:
    with pytest.raises(TypeError, match="loader"):
        BotManager(7)  # type: ignore[arg-type]


# --- at once -----------------------------------------------------------------------------------------------------


async def test_two_calls_at_once_build_one_bot(manager: BotManager, loader: Loader) -> None:
    """Single flight: one load, one bot, for everybody who waits."""
    loader.hold("support")
    async with anyio.create_task_group() as group:
        bots: list[Bot] = []

        async def ask() -> None:
            bots.append(await manager.get_or_create("support"))

        for _ in range(5):
            group.start_soon(ask)
        await eventually(lambda: loader.calls)
        await manager.get_or_create("other")
        assert await manager.get("support") is None
        loader.release("support")
    assert len(bots) == 5
    assert len({id(bot) for bot in bots}) == 1
    assert loader.calls == ["support", "other"]


async def test_who_gives_up_stops_it_for_nobody(manager: BotManager, loader: Loader) -> None:
    """The first who asked may be cancelled; also when everybody is, the bot is there in the end."""
    loader.hold("support")
    asking = [asyncio.create_task(manager.get_or_create("support")) for _ in range(3)]
    await eventually(lambda: loader.calls)
    asking[0].cancel()
    await asyncio.wait((asking[0],))
    loader.release("support")
    first, second = await asyncio.gather(*asking[1:])
    assert first is second
    loader.hold("other")
    alone = asyncio.create_task(manager.get_or_create("other"))
    await eventually(lambda: "other" in loader.calls)
    alone.cancel()
    await asyncio.wait((alone,))
    loader.release("other")
    await eventually(lambda: "other" in manager.list_bots())
    assert loader.calls == ["support", "other"]


async def test_a_failure_is_given_to_all_who_wait_and_not_kept(manager: BotManager, loader: Loader) -> None:
    """And delays nobody: the next one asks anew."""
    loader.hold("support")
    loader.configs["support"] = LookupError("no such customer")
    asking = [asyncio.create_task(manager.get_or_create("support")) for _ in range(3)]
    await eventually(lambda: loader.calls)
    loader.release("support")
    for each in asking:
        with pytest.raises(LookupError, match="no such customer"):
            await each
    loader.configs["support"] = ECHO
    assert (await manager.get_or_create("support")).bot_id == "support"
    assert loader.calls == ["support"] * 2


async def test_a_failure_nobody_waits_for_is_no_noise(manager: BotManager, loader: Loader) -> None:
    """pytest turns an error nobody retrieves into a failure."""
    loader.hold("support")
    loader.configs["support"] = LookupError("no such customer")
    asking = asyncio.create_task(manager.get_or_create("support"))
    await eventually(lambda: loader.calls)
    asking.cancel()
    await asyncio.wait((asking,))
    loader.release("support")
    await eventually(lambda: not manager._flights)


async def test_a_function_that_blocks_delays_nobody(here: Place) -> None:
    """It sits in its thread; all others are made meanwhile."""
    go = threading.Event()

    def load(bot_id: str) -> Any:
        if bot_id == "slow":
            go.wait(20)
        return ECHO

    async with BotManager(load, services=here.services) as manager:
        slow = asyncio.create_task(manager.get_or_create("slow"))
        await asyncio.gather(*(manager.get_or_create(f"bot{n}") for n in range(100)))
        assert (manager.get_bot_count(), slow.done()) == (100, False)
        go.set()
        await slow


# --- exchanged, removed ------------------------------------------------------------------------------------------


async def test_reload_swaps_only_after_the_new_one_works(manager: BotManager, loader: Loader) -> None:
    """Meanwhile, and when it fails, the one before answers."""
    loader.configs["support"] = {**ECHO, "name": "old"}
    old = await manager.get_or_create("support")
    for bad in (LookupError("gone"), {"llm": {"provider": "nobody"}}, None):
        loader.configs["support"] = bad
        with pytest.raises((LookupError, ConfigInvalid, LoaderUnusable)):
            await manager.reload("support")
        assert await manager.get_or_create("support") is old
        assert await old.chat("hello", ALICE) == "re hello"
    loader.configs["support"] = {**ECHO, "name": "new"}
    loader.hold("support")
    reloading = asyncio.create_task(manager.reload("support"))
    await eventually(lambda: len(loader.calls) == 5)
    assert await manager.get_or_create("support") is old
    loader.release("support")
    new = await reloading
    assert (new.spec().config.name, await manager.get("support")) == ("new", new)
    with pytest.raises(BotClosed):
        await old.chat("hello", ALICE)
    assert [m.content for m in (await new.get_conversation(ALICE)).messages][:2] == ["hello", "re hello"]  # type: ignore[union-attr]


async def test_a_bot_in_mid_chat_is_drained(manager: BotManager, here: Place, loader: Loader) -> None:
    """Exchanged at once, it answers what it was asked before reload returns."""
    old = await manager.get_or_create("support")
    here.model.hold()
    asking = asyncio.create_task(old.chat("hello", ALICE))
    await eventually(lambda: here.model.waiting == 1)
    reloading = asyncio.create_task(manager.reload("support"))
    await eventually(lambda: old.closed)
    assert await manager.get_or_create("support") is not old
    assert not reloading.done()
    here.model.release()
    assert await asking == "re hello"
    await reloading


async def test_reloads_at_once_each_see_what_is_so_then(manager: BotManager, loader: Loader) -> None:
    """None is content with a load that began before it was asked."""
    loader.configs["support"] = {**ECHO, "name": "one"}
    loader.hold("support")
    making = asyncio.create_task(manager.get_or_create("support"))
    await eventually(lambda: loader.calls)
    reloading = [asyncio.create_task(manager.reload("support")) for _ in range(2)]
    await anyio.sleep(0)
    loader.release("support")
    await making
    names = [bot.spec().config.name for bot in await asyncio.gather(*reloading)]
    assert names == ["one", "one"]
    assert (len(loader.calls), manager.list_bots()) == (3, ["support"])
    assert not (await manager.get_or_create("support")).closed


async def test_reload_makes_what_is_not_there(manager: BotManager) -> None:
    assert (await manager.reload("support")).bot_id == "support"


async def test_remove_drains_and_keeps_conversations(manager: BotManager, here: Place) -> None:
    """A bot made again goes on where it was."""
    bot = await manager.get_or_create("support")
    here.model.hold()
    asking = asyncio.create_task(bot.chat("hello", ALICE))
    await eventually(lambda: here.model.waiting == 1)
    removing = asyncio.create_task(manager.remove("support"))
    await eventually(lambda: bot.closed)
    assert (manager.list_bots(), removing.done(), await manager.remove("support")) == ([], False, False)
    here.model.release()
    assert (await asking, await removing) == ("re hello", True)
    again = await manager.get_or_create("support")
    assert await here.said(again) == ["hello", "re hello"]


async def test_a_bot_that_is_being_made_is_removed_too(manager: BotManager, loader: Loader) -> None:
    """It does not come back behind the removal."""
    loader.hold("support")
    asking = asyncio.create_task(manager.get_or_create("support"))
    await eventually(lambda: loader.calls)
    removing = asyncio.create_task(manager.remove("support"))
    await anyio.sleep(0)
    loader.release("support")
    assert await removing
    assert (await asking).closed
    assert manager.list_bots() == []


async def test_clear_all_drains_side_by_side(manager: BotManager, here: Place) -> None:
    """One that is busy holds up none."""
    busy, idle = await manager.get_or_create("busy"), await manager.get_or_create("idle")
    here.model.hold()
    asking = asyncio.create_task(busy.chat("hello", ALICE))
    await eventually(lambda: here.model.waiting == 1)
    clearing = asyncio.create_task(manager.clear_all())
    await eventually(lambda: idle.closed and busy.closed)
    assert (manager.get_bot_count(), clearing.done()) == (0, False)
    here.model.release()
    await clearing
    assert await asking == "re hello"
    assert (await manager.get_or_create("busy")).bot_id == "busy"


async def test_a_closed_manager_makes_nothing(here: Place, loader: Loader) -> None:
    """Loaders under way are given up; who waits is told."""
    manager = BotManager(loader, services=here.services)
    bot = await manager.get_or_create("support")
    loader.hold("slow")
    asking = asyncio.create_task(manager.get_or_create("slow"))
    just_now = asyncio.create_task(manager.get_or_create("sudden"))
    await eventually(lambda: "slow" in loader.calls)
    unbegun = asyncio.create_task(manager.get_or_create("unbegun"))
    await anyio.sleep(0)
    await manager.close()
    await manager.close()
    for task in (asking, unbegun):
        with pytest.raises(BotClosed):
            await task
    assert (await just_now).closed
    assert bot.closed
    for call in (manager.get_or_create("support"), manager.reload("support")):
        with pytest.raises(BotClosed):
            await call
    assert not manager._flights


async def test_secrets_of_bots_are_known_to_the_log(manager: BotManager, here: Place, loader: Loader) -> None:
    """From the moment a bot is there."""
    loader.configs["support"] = {"llm": {"provider": "openai", "model": "m", "api_key": "correct-horse-battery"}}
    assert "horse" in here.services.redact("correct-horse-battery")
    await manager.get_or_create("support")
    assert "horse" not in here.services.redact("told: correct-horse-battery")
