"""The single writer: groups, mistakes, cancellation, back-pressure, the end."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from store.errors import StoreCorrupt, StoreError, StoreUnavailable
from store.writer import GROUP_LIMIT, Writer
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

INSERT = "INSERT INTO notes VALUES (?)"


@pytest.fixture
async def writer(path: Path) -> AsyncIterator[Writer]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE notes (n INTEGER PRIMARY KEY) STRICT")
    writer = Writer(connection, path, capacity=600)
    yield writer
    await writer.close()


def note(number: int) -> Any:
    return lambda connection: connection.execute(INSERT, (number,)).rowcount


def notes(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    try:
        return [n for (n,) in connection.execute("SELECT n FROM notes ORDER BY n")]
    finally:
        connection.close()


@contextmanager
def held(writer: Writer) -> Iterator[threading.Event]:
    """Keep the writer's thread inside a transaction, so that what is asked meanwhile queues up."""
    inside, release = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        inside.set()
        release.wait(10)

    task = asyncio.ensure_future(writer.write(wait))
    try:
        yield inside
    finally:
        release.set()
        assert not task.cancelled()


async def ask(writer: Writer, inside: threading.Event, *jobs: Any) -> list[asyncio.Task[Any]]:
    """Ask for jobs while the writer is held; they are in its queue on return."""
    await eventually(inside.is_set)
    tasks = [asyncio.ensure_future(writer.write(job)) for job in jobs]
    await eventually(lambda: writer.pending >= min(len(jobs) + 1, 600))
    return tasks


async def test_what_came_during_a_commit_shares_the_next(writer: Writer, path: Path) -> None:
    """Jobs that wait are committed together, each caller gets its own result."""
    with held(writer) as inside:
        tasks = await ask(writer, inside, *[note(n) for n in range(50)])
        assert notes(path) == []
    assert await asyncio.gather(*tasks) == [1] * 50
    assert (writer.stats.groups, writer.stats.largest_group) == (2, 50)
    assert notes(path) == list(range(50))


async def test_a_bad_job_harms_nobody_but_its_caller(writer: Writer, path: Path) -> None:
    """In a group with a constraint violation and a bug, all others are committed and only those two raise."""

    def bug(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, (99,))
        raise KeyError("mistake")

    with held(writer) as inside:
        tasks = await ask(writer, inside, note(1), note(1), bug, note(2))
    first, double, wrong, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert (first, second) == (1, 1)
    assert isinstance(double, sqlite3.IntegrityError)
    assert isinstance(wrong, KeyError)
    assert notes(path) == [1, 2]
    assert writer.fault is None


async def test_a_cancelled_caller_disturbs_nobody(writer: Writer, path: Path) -> None:
    """Its job may still be committed; what is to follow the commit is done all the same."""
    seen: list[int] = []
    with held(writer) as inside:
        (kept,) = await ask(writer, inside, note(1))
        cancelled = asyncio.ensure_future(writer.write(note(2), committed=seen.append))
        await eventually(lambda: writer.pending == 3)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
    assert await kept == 1
    await eventually(lambda: writer.pending == 0)
    assert notes(path) == [1, 2]
    assert seen == [1]


async def test_a_full_queue_makes_callers_wait(writer: Writer, path: Path) -> None:
    """Above its capacity the writer takes no job more until some are answered; nothing is lost or refused."""
    with held(writer) as inside:
        tasks = await ask(writer, inside, *[note(n) for n in range(700)])
        assert writer.pending == 600
    assert await asyncio.gather(*tasks) == [1] * 700
    assert notes(path) == list(range(700))
    assert writer.stats.largest_group <= GROUP_LIMIT


async def test_closing_commits_what_was_asked_for(writer: Writer, path: Path) -> None:
    """Jobs in the queue are done before the thread ends; those who still waited for room are told."""
    with held(writer) as inside:
        tasks = await ask(writer, inside, *[note(n) for n in range(700)])
        closing = asyncio.ensure_future(writer.close())
        await eventually(lambda: writer.closed)
    await closing
    results = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [result for result in results if isinstance(result, StoreError)]
    assert len(refused) == 101
    assert {str(error) for error in refused} == {f"{path} is closed"}
    assert notes(path) == list(range(599))


async def test_a_closed_writer_refuses_in_a_way_nobody_waits_out(writer: Writer) -> None:
    """Writing after the end raises StoreError itself, not one of the faults that pass."""
    await writer.close()
    await writer.close()
    with pytest.raises(StoreError) as caught:
        await writer.write(note(1))
    assert type(caught.value) is StoreError


async def test_damage_found_meanwhile_is_not_forgotten_for_a_commit(writer: Writer) -> None:
    """A group that succeeds clears a fault that passes, and not one that says the file is damaged."""
    with held(writer) as inside:
        (task,) = await ask(writer, inside, note(1))
        writer.report(StoreUnavailable("away"))
    assert await task == 1
    assert writer.fault is None
    with held(writer) as inside:
        (task,) = await ask(writer, inside, note(2))
        writer.report(StoreCorrupt("damaged"))
    with pytest.raises(StoreCorrupt):  # it waited behind the commit under way
        await task
    assert isinstance(writer.fault, StoreCorrupt)


async def test_the_log_is_copied_into_the_file_at_quiet_moments(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After enough jobs a checkpoint is made without anybody asking, and not by a commit."""
    monkeypatch.setattr("store.jobs.CHECKPOINT_JOBS", 10)
    for number in range(10):
        await writer.write(note(number))
    await eventually(lambda: writer.stats.checkpoints == 1)
    assert writer.stats.wal_pages > 0
    assert writer.stats.jobs == 10
