"""Documents made to do harm: read by a process that has so much memory and time, and no more."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path

import anyio
import docx
import pytest

from config.schema import RetentionSection
from store.database import Store
from tests.waiting import eventually
from workers.clock import ManualClock, SystemClock
from workers.errors import MediaFailed
from workers.housekeeping import Housekeeper
from workers.media import documents, keeping
from workers.media.documents import READ_S, Documents

pytestmark = pytest.mark.anyio

PARAGRAPHS = 12_000_000


def bomb() -> bytes:
    """A Word document of 100 kB that unfolds to 70 MB of XML, and far more in memory."""
    file, plain = io.BytesIO(), io.BytesIO()
    docx.Document().save(plain)
    with zipfile.ZipFile(plain) as given, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name in given.namelist():
            data = given.read(name)
            if name == "word/document.xml":
                data = data.replace(b"<w:body>", b"<w:body>" + b"<w:p/>" * PARAGRAPHS)
            made.writestr(name, data)
    return file.getvalue()


def circle() -> bytes:
    """A PDF whose tree of pages has no end."""
    return (
        b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"
        b"3 0 obj\n<</Type/Pages/Kids[2 0 R]/Count 1>>\nendobj\ntrailer\n<</Size 4/Root 1 0 R>>\nstartxref\n0\n%%EOF"
    )


def deep() -> bytes:
    """A PDF nested too deeply."""
    return b"%PDF-1.4\n1 0 obj\n" + b"[" * 200_000 + b"\nendobj\ntrailer\n<</Size 4/Root 1 0 R>>\nstartxref\n9\n%%EOF"


def readers() -> list[str]:
    """The readers that run now, of this process."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line, stat = path.read_bytes(), path.with_name("stat").read_text()
        except OSError:
            continue
        if b"reading.py" in line and f" {os.getpid()} " in stat:
            found.append(line.decode())
    return found


@pytest.mark.parametrize(("kind", "make"), [("docx", bomb), ("pdf", circle), ("pdf", deep)])
async def test_a_document_made_to_do_harm_is_not_read_and_nothing_of_it_stays(kind: str, make: type[bytes]) -> None:
    """It takes its own process's memory and time; the loop goes on meanwhile."""
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.001)
            turns += 1

    data = make()
    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        with pytest.raises(MediaFailed) as failed:
            await Documents(SystemClock()).text_of(kind, data, 1000)
        group.cancel_scope.cancel()
    assert failed.value.key == "document_failed"
    assert turns > 0
    assert not readers()


async def test_a_document_that_takes_too_long_is_given_up_and_its_reader_ends() -> None:
    """Within READ_S, whatever it does; cancelled, likewise."""
    clock, data = ManualClock(), bomb()
    async with anyio.create_task_group() as group:

        async def read() -> None:
            with pytest.raises(MediaFailed, match="within 30 s"):
                await Documents(clock).text_of("docx", data, 1000)

        group.start_soon(read)
        await eventually(readers)
        await clock.advance(READ_S)
    await eventually(lambda: not readers())
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(Documents(clock).text_of, "docx", data, 1000)
            await eventually(readers)
            scope.cancel()
    await eventually(lambda: not readers())


async def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line for the operator; the reader of an interpreter that has none of the libraries."""
    _, *flags = documents._COMMAND
    monkeypatch.setattr(documents, "_COMMAND", (sys.executable, "-S", *flags))
    with pytest.raises(MediaFailed, match=r"nothing here can read pdf.*botdeck\[documents\]"):
        await Documents(SystemClock()).text_of("pdf", circle(), 1000)


def test_kept_files_go_when_their_time_is_over(tmp_path: Path) -> None:
    """By their age, of every bot; and all of a bot that is removed."""
    for bot_id, name, at in (("a", "1-1-u-old", 100), ("a", "1-2-u-new", 300), ("b", "2-1-u-old", 100)):
        path = tmp_path / "media" / bot_id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, (at, at))
    assert keeping.prune(tmp_path, 200) == 2
    assert [path.name for path in (tmp_path / "media").glob("*/*")] == ["1-2-u-new"]
    keeping.remove(tmp_path, "a")
    keeping.remove(tmp_path, "never")
    assert not (tmp_path / "media" / "a").exists()


async def test_housekeeping_takes_kept_files_with_the_messages_they_came_with(tmp_path: Path) -> None:
    """After `[retention] messages_days`; 0 keeps them for ever."""
    clock = ManualClock()
    old = tmp_path / "media" / "a" / "1-1-u-old"
    old.parent.mkdir(parents=True)
    async with await Store.open(tmp_path / "house.db", now_ms=int(clock.now() * 1000)) as store:
        for days, stays in ((0, True), (1, False)):
            old.write_bytes(b"x")
            os.utime(old, (clock.now() - 90_000, clock.now() - 90_000))
            keeper = Housekeeper(store, clock, lambda days=days: RetentionSection(messages_days=days), tmp_path)  # type: ignore[misc]
            async with anyio.create_task_group() as group:
                group.start_soon(keeper.run)
                await eventually(lambda: clock.waiting and store.pending == 0)
                await eventually(lambda stays=stays: old.exists() is stays)
                group.cancel_scope.cancel()
