"""Power cuts: the real store writes with many callers at once, the device forgets what was not synced, at any moment.

The history of one run is gone through step by step; at every sync, and between, the files are put back as a power cut
would have left them, opened by the real store, checked and compared with what had been acknowledged until then.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from store.database import Store
from store.errors import StoreError, StoreFull, StoreUnavailable
from store.outbox import NewSend
from tests.storage.disk import Disk, Keep, everything, nothing, restore, some
from tests.store.filling import NOW_MS, query, turn, update

T = TypeVar("T")

BOTS = tuple(f"bot{n}" for n in range(8))
SENDS = tuple(NewSend(7, "7", "sendMessage", f'{{"text":"{part}"}}') for part in "ab")

Acknowledged = Counter[tuple[str, str]]
"""(kind, bot) → the number of the last turn for which the store said that it is written."""


@dataclass(slots=True)
class Report:
    """What was tried, and what was found wrong."""

    steps: int = 0
    syncs: int = 0
    cuts: int = 0
    acknowledged: int = 0
    wrong: list[str] = field(default_factory=list)


async def insist(store: Store, write: Callable[[], Awaitable[T]]) -> T:
    """Ask again while the store refuses, as workers do."""
    while True:
        try:
            return await write()
        except (StoreUnavailable, StoreFull):
            await store.wait_healthy()


async def talk(store: Store, disk: Disk, bot_id: str, turns: int) -> None:
    """Do everything a bot does to the store, and note each acknowledgement the moment it comes."""
    partition = store.partition(bot_id)

    async def acknowledged(kind: str, write: Callable[[], Awaitable[T]]) -> T:
        result = await insist(store, write)
        disk.note("ack", (kind, bot_id, number))
        return result

    for number in range(1, turns + 1):
        record = turn(number, answer="x" * (300 * number), sends=SENDS)
        await acknowledged("received", lambda: partition.updates.receive([update(number)], number + 1, NOW_MS))  # noqa: B023
        ids = await acknowledged("answered", lambda: partition.record_turn(record, NOW_MS))  # noqa: B023
        if not ids:  # a commit that was reported as failed may have happened
            ids = tuple(send.outbox_id for send in await insist(store, partition.outbox.open))
        first, second = ids
        await acknowledged("first sent", lambda: partition.outbox.sent(first, 1, NOW_MS))  # noqa: B023
        await acknowledged("attempted", lambda: partition.outbox.attempting(second))  # noqa: B023
        await acknowledged("sent", lambda: partition.outbox.sent_many([(second, 2)], NOW_MS))  # noqa: B023
        await acknowledged("saved", lambda: store.save_states([(bot_id, {"generation": number})], NOW_MS))  # noqa: B023


async def record(
    folder: Path,
    *,
    turns: int,
    durability: str = "full",
    prepare: Callable[[Store], None] = lambda _: None,
    faults: Sequence[tuple[str, str, int, int]] = (),
) -> Disk:
    """Run a store in a folder under watch, from its first start to its end; return what the device saw.

    faults: (what, end of the file's name, code, calls that pass before) each.
    """
    disk = Disk(folder)
    path = folder / "data" / "botdeck.db"
    with disk.watched():
        store = await Store.open(path, now_ms=NOW_MS, durability=durability)
        disk.note("ack", ("opened", "", 1))
        prepare(store)
        for what, name, code, after in faults:
            disk.strike(what, name, code, after=after)
        probing = asyncio.ensure_future(keep_probing(store, disk, path))
        await asyncio.gather(*(talk(store, disk, bot_id, turns) for bot_id in BOTS))
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        await store.close()
    return disk


async def keep_probing(store: Store, disk: Disk, path: Path) -> None:
    """Do what the fleet's watch of the store does; once a fault has passed, the system forgets what it held."""
    while True:
        await store.wait_fault()
        while not await store.probe(NOW_MS):
            await asyncio.sleep(0.001)
        for name in (path, path.with_name("botdeck.db-wal")):
            disk.forget_memory(name)


def cuts(disk: Disk, *, seed: int, every: int, variants: int) -> Iterator[tuple[str, dict[str, bytes], Acknowledged]]:
    """Give what power cuts leave: at every sync, and at each `every`-th step between; with what was acknowledged then.

    Dropped wholly always; kept wholly, in random subsets, and torn at 512 or 4096 bytes, as many as `variants` says.
    """
    chance = random.Random(seed)
    acknowledged: Acknowledged = Counter()
    for number, (step, state) in enumerate(disk.states()):
        if step[0] in {"sync", "folder", "end"} or number % every == 0:
            yield f"{number} nothing", state.left(nothing), acknowledged
            for name, keep in chance.sample(_keeps(chance), variants):
                left = state.left(keep, names=lambda _: chance.random() < 0.5)
                yield f"{number} {name}", left, acknowledged
        if step[0] == "ack":
            kind, bot_id, turns = step[2]
            acknowledged[kind, bot_id] = turns


def _keeps(chance: random.Random) -> list[tuple[str, Keep]]:
    return [
        ("everything", everything),
        ("some", some(chance)),
        ("torn at 512", some(chance, torn=512)),
        ("torn at 4096", some(chance, torn=4096)),
    ]


async def survey(disk: Disk, scratch: Path, *, seed: int = 1, every: int = 10**9, variants: int = 1) -> Report:
    """Cut the power at every moment of a history; return what was tried and what was found wrong."""
    report = Report(steps=len(disk.history), syncs=sum(step[0] == "sync" for step in disk.history))
    report.acknowledged = sum(step[0] == "ack" for step in disk.history)
    for name, left, acknowledged in cuts(disk, seed=seed, every=every, variants=variants):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        restore(left, disk.root, scratch)
        report.cuts += 1
        report.wrong += [f"{name}: {text}" for text in await judge(scratch, acknowledged)]
    return report


async def judge(folder: Path, acknowledged: Acknowledged) -> list[str]:
    """Open what a power cut left with the real store; return what is missing, half applied or damaged."""
    path = folder / "data" / "botdeck.db"
    if not path.exists():
        return ["the file is gone"] if acknowledged else []
    wrong: list[str] = []
    try:
        async with await Store.open(path, now_ms=NOW_MS) as store:
            wrong += await store.integrity_check()
            for bot_id in BOTS:
                wrong += [f"{bot_id}: {text}" for text in _unfaithful(path, bot_id, acknowledged)]
            await store.partition("later").updates.receive([update(1)], 2, NOW_MS)
    except (StoreError, sqlite3.Error) as error:
        wrong.append(f"does not open: {error}")
    return wrong


_FACTS = {
    "turns": "SELECT coalesce(max(turns), 0) FROM bots WHERE bot_id = ?",
    "generation": "SELECT coalesce(max(generation), 0) FROM bots WHERE bot_id = ?",
    "offset": "SELECT coalesce(max(next_offset), 1) - 1 FROM bots WHERE bot_id = ?",
    "updates": "SELECT count(*) FROM updates WHERE bot_id = ?",
    "answered": "SELECT count(*) FROM updates WHERE outcome = 'answered' AND payload = '' AND bot_id = ?",
    "messages": "SELECT count(*) FROM messages WHERE bot_id = ?",
    "last": "SELECT coalesce(max(last_seq), 0) FROM conversations WHERE bot_id = ?",
    "usage": "SELECT count(*) FROM usage WHERE bot_id = ?",
    "sends": "SELECT count(*) FROM outbox WHERE bot_id = ?",
    "first sent": "SELECT count(*) FROM outbox WHERE part = 1 AND state = 'sent' AND bot_id = ?",
    "attempted": "SELECT count(*) FROM outbox WHERE part = 2 AND state <> 'pending' AND bot_id = ?",
    "sent": "SELECT count(*) FROM outbox WHERE part = 2 AND state = 'sent' AND bot_id = ?",
}


def _unfaithful(path: Path, bot_id: str, acknowledged: Acknowledged) -> Iterator[str]:
    (row,) = query(path, f"SELECT {', '.join(f'({sql})' for sql in _FACTS.values())}".replace("?", "?1"), bot_id)
    facts = dict(zip(_FACTS, row, strict=True))
    facts |= {"received": facts["updates"], "saved": facts["generation"]}
    for kind in ("received", "answered", "first sent", "attempted", "sent", "saved"):
        if facts[kind] < acknowledged[kind, bot_id]:
            yield f"{kind}: {acknowledged[kind, bot_id]} acknowledged, {facts[kind]} there"
    turns = facts["turns"]
    whole = {"answered": turns, "messages": 2 * turns, "last": 2 * turns, "usage": turns, "sends": 2 * turns}
    whole["offset"] = facts["updates"]
    for name, expected in whole.items():
        if facts[name] != expected:
            yield f"half applied: {facts[name]} {name} where {expected} belong to {turns} turns"


class LateCommit:
    """A connection that commits only when the next transaction begins: what a store that acknowledges early would do."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._waiting = False

    def execute(self, sql: str, *parameters: Any) -> Any:
        """Run a statement; a COMMIT is put off."""
        if self._waiting:
            self._waiting = False
            self._connection.execute("COMMIT")
        if sql == "COMMIT":
            self._waiting = True
            return None
        return self._connection.execute(sql, *parameters)

    def close(self) -> None:
        """Commit what waits, close."""
        if self._waiting:
            self._connection.execute("COMMIT")
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def acknowledging_early(store: Store) -> None:
    """Break a store so that it acknowledges before it commits."""
    store._writer._connection = LateCommit(store._writer._connection)  # type: ignore[assignment]
