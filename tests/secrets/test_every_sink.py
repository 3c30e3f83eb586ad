"""No secret leaves a fleet: every failure at once, then every place it could show in is read.

`scenarios.py` lists what goes wrong, `sinks.py` where is looked: a new one is a line.
"""

from __future__ import annotations

import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import anyio
import pytest

from config.vocabulary import Phase, Secret
from console.control import EventQuery, LogQuery
from tests.fleet_process import query
from tests.secrets.asking import asked
from tests.secrets.following import following
from tests.secrets.house import House, house
from tests.secrets.plants import Plants, spellings
from tests.secrets.scenarios import SCENARIOS
from tests.secrets.scenarios import cut_off as gone
from tests.secrets.sinks import ALIVE, COPIES, DAMAGED, LEFT, Read
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

PRIVATE = 0o600
AT_ONCE = 3
"""Sinks read side by side: most are processes."""

REACHED = "bad-request"
"""The bot whose server can be reached to the end."""


async def befallen(place: House) -> None:
    """Let everything happen to every bot: its messages, its crash or refusal."""
    control = await place.control()
    for name, bot in place.bots.items():
        for text in SCENARIOS[name].hears:
            bot.say(5, text)

    async def through() -> bool:
        rows = {row["bot_id"]: row for row in (await control.status())["bots"]}
        crashed = {
            line["bot_id"]
            for line in await control.events(EventQuery(tail=100_000, kinds=("BotFailed", "TurnFailed", "LoopStalled")))
        }
        told = {line["bot_id"] for line in await control.logs(LogQuery(tail=100_000, min_level=30))}
        quiet = {name for name in SCENARIOS if name.startswith("code-")} - crashed - told
        settled = all(row["phase"] not in {Phase.QUEUED, Phase.DRAINING} for row in rows.values())
        return settled and len(rows) == len(SCENARIOS) and quiet <= {"code-thread"}

    await eventually(through, within_s=30)


async def said_nothing(place: House) -> list[str]:
    """Return the bots in whose status, events and log none of the words shows that tell that something was tried."""
    control = await place.control()
    shown: dict[str, list[str]] = {row["bot_id"]: [str(row)] for row in (await control.status())["bots"]}
    for line in [*await control.events(EventQuery(tail=100_000)), *await control.logs(LogQuery(tail=100_000))]:
        shown.get(line["bot_id"], []).append(str(line))
    texts = {name: "\n".join(lines) for name, lines in shown.items()}
    return [name for name, one in SCENARIOS.items() if not any(word in texts.get(name, "") for word in one.says)]


def quotes(place: House, text: str) -> bool:
    """Tell whether a text quotes a secret, masked as it should be, or not, which is for `leaks` to find."""
    return Secret.MASK in text or bool(place.plants.found(text.encode()))


async def passed(place: House) -> list[str]:
    """Return the bots whose trouble is not there any more: none of their conditions says it, and quotes a secret."""
    conditions = {row["bot_id"]: row["conditions"] for row in (await (await place.control()).status())["bots"]}

    def stays(name: str, words: str) -> bool:
        reasons = [condition["reason"] for condition in conditions[name].values()]
        return any(words in reason and quotes(place, reason) for reason in reasons)

    return [name for name, one in SCENARIOS.items() if one.stays and not stays(name, one.stays)]


async def none_left(place: House, look: Callable[[House], Awaitable[list[str]]]) -> None:
    """Wait until a look finds no bot any more."""
    found: list[str] = []

    async def none() -> bool:
        found[:] = await look(place)
        return not found

    try:
        await eventually(none, within_s=20)
    except AssertionError:
        raise AssertionError(f"{look.__name__}: {found}") from None


def cut_off(place: House, *names: str) -> None:
    """Let bots reach their server no more."""
    for name in names:
        gone(place.bots[name], place.plants.known["fleet"])
        place.bots[name].say(5, "hello")  # ends the poll that waits


async def outage_told(place: House) -> None:
    """Wait until all that cannot reach their server are told of in one sentence."""
    control = await place.control()

    async def told() -> bool:
        said = (await control.status())["fleet"]["outage"] or ""
        return "Telegram answered 400: gone with " in said and quotes(place, said)

    await eventually(told, within_s=30)


async def spoilt(place: House) -> None:
    """Break files exactly where they hold a secret, let the disk be full for a while, and take the database away."""
    control = await place.control()
    files = sorted((place.root / "bots").glob("code-*.toml"))
    for number, file in enumerate(files):
        broken = place.plants.key(f"{file.stem} broken")
        text = (f"token = '{broken}", f"= {broken}", f"[llm\n{broken} = 1", f'[llm.nothing]\nx = "{broken}"')[
            number % 4
        ]
        file.write_text(file.read_text() + "\n" + text + "\n")
    await control.reload(actor="test")
    limit = resource.prlimit(place.fleet.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    place.bots[REACHED].say(6, "nobody can write this down")

    async def faulted() -> bool:
        return bool((await control.status())["fleet"]["store_fault"])

    await eventually(faulted)
    resource.prlimit(place.fleet.pid, resource.RLIMIT_FSIZE, limit)

    async def healthy() -> bool:
        return not (await control.status())["fleet"]["store_fault"]

    await eventually(healthy)
    database, aside = place.root / "botdeck.db", place.root / "aside"
    database.rename(aside)
    await eventually(faulted)
    aside.rename(database)
    await eventually(healthy, within_s=30)


async def damaged(place: House) -> None:
    """Spoil a page of the database, and let a fleet meet it."""
    file = place.root / "botdeck.db"
    (root,) = query(place.root, "SELECT rootpage FROM sqlite_schema WHERE name = 'messages'")[0]
    with file.open("r+b") as pages:
        pages.seek((root - 1) * 8192)
        pages.write(b"\xff" * 8192)
    await place.start()
    control = await place.control()

    async def met() -> bool:
        place.bots[REACHED].say(7, "what did I say?")
        return "damaged" in str((await control.status())["fleet"]["store_fault"])

    await eventually(met)


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    core = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (core[1], core[1]))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    async with house(tmp_path) as made:
        yield made
    resource.setrlimit(resource.RLIMIT_CORE, core)


async def leaks(place: House, sinks: dict[str, Read]) -> dict[str, list[str]]:
    """Return sink → names of the secrets that show in it; sinks that show none are left out.

    Each sink must show something, and a secret laid into what it shows must be found: else nothing is proved.
    """
    sight = place.plants.known["fleet"].encode()
    shown = {}
    some = anyio.CapacityLimiter(AT_ONCE)

    async def look(name: str, read: Read) -> None:
        async with some:
            text = await read(place)
        found = place.plants.found(text)
        assert text, name
        assert place.plants.found(text[-1000:] + sight) >= {"fleet"}, name
        if found:
            shown[name] = sorted(found)

    async with anyio.create_task_group() as group:
        for name, read in sinks.items():
            group.start_soon(look, name, read)
    return shown


async def test_nothing_that_goes_wrong_shows_a_secret_anywhere(place: House) -> None:
    """Every scenario in one fleet; then every sink while it runs, its copies, and what a kill leaves."""
    await place.start("--log-format", "json")
    assert resource.prlimit(place.fleet.pid, resource.RLIMIT_CORE)[0] == 0, "a core file would hold every secret"
    statuses = await asked(place)
    assert statuses[:5] == [200, 502, 422, 200, 200]
    assert {401, 403, 404} <= set(statuses)
    async with following(place) as heard:
        await befallen(place)
        await none_left(place, said_nothing)
        cut_off(place, *(place.bots.keys() - {REACHED}))
        await spoilt(place)
        await outage_told(place)
    await none_left(place, passed)
    shown = await leaks(place, {"what is told live": lambda _: told(heard)} | ALIVE)
    assert await passed(place) == []
    for name, (command, file) in COPIES.items():
        shown |= await leaks(
            place, {f"the command for {name}": lambda h, c=command: h.cli(*(p.format(out=h.root) for p in c))}
        )
        shown |= await leaks(place, {name: lambda h, f=file: read_file(h, f)})
    modes = place.modes()
    await place.fleet.kill()
    shown |= await leaks(place, LEFT)
    await place.start()
    assert await place.fleet.end(signal.SIGTERM) == 0
    shown |= await leaks(place, {"human output": ALIVE["stdout and stderr"], "database": ALIVE["database"]})
    await damaged(place)
    shown |= await leaks(place, DAMAGED)
    await place.fleet.kill()
    assert shown == {}
    assert {name: oct(mode) for name, mode in modes.items() if mode != PRIVATE} == {}
    assert {"botdeck.db", "botdeck.db-wal", "botdeck.db-shm", "botdeck.db.lock", "out-backup.db"} <= set(modes)


async def told(heard: list[bytes]) -> bytes:
    return b"\n".join(heard)


async def read_file(place: House, name: str) -> bytes:
    return (place.root / name).read_bytes()


def test_a_secret_is_found_in_every_spelling() -> None:
    """The search itself: whole, half, encoded, escaped, and nothing in innocent text."""
    plants = Plants()
    secret = plants.key("one", '{}"/+')
    for spelling in (secret, secret[:12], secret[-14:], *spellings(secret).split(" ")):
        assert plants.found(b"before " + spelling.encode() + b" after") == {"one"}, spelling
    assert plants.found(b"a line like any other, 123456:AAAAAAA") == set()
