"""The fleet's own Python files: loaded once, again when they change, kept when they break, in nobody's way."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from store.events import ConfigRejected
from tests.waiting import eventually
from tests.workers.tools_rig import Bench, bench
from workers.clock import ManualClock
from workers.llm.base import ToolCall

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    async with bench(tmp_path, clock) as made:
        yield made


async def test_an_edit_counts_from_the_next_turn(desk: Bench) -> None:
    """The file is loaded anew, what it takes by `from . import` as well; the same text is not loaded twice."""
    desk.save("words", "WORD = 'one'\n")
    desk.python("from .words import WORD\nprint\ndef say() -> str: return WORD\n", "say")
    assert await desk.call("say") == "one"
    loaded = desk.box._tools["say"]
    assert await desk.call("say") == "one"
    assert desk.box._tools["say"] is loaded
    desk.save("words", "WORD = 'two'\n")
    assert await desk.call("say") == "two"
    desk.save("mine", "def say(loud: bool) -> str: return 'LOUD'\n")
    assert "loud" in (await desk.schema("say"))["properties"]
    assert await desk.call("say", loud=True) == "LOUD"
    ours = [name for name in sys.modules if name.startswith("botdeck_tools_")]
    assert len(ours) == 2, "the packages of before are gone"


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        ("def say(:\n", "tools/mine.py:1: SyntaxError"),
        ("x = 1\nraise RuntimeError('no database')\n", "tools/mine.py:2: RuntimeError: no database"),
        ("import sys\nsys.exit(1)\n", "tools/mine.py:2: SystemExit"),
        ("from .gone import x\n", "tools/mine.py:1: ModuleNotFoundError"),
    ],
)
async def test_a_broken_file_keeps_the_last_good_one_and_is_told_once(
    desk: Bench, caplog: pytest.LogCaptureFixture, broken: str, line: str
) -> None:
    """Log and journal name file and line, once; the file mended is in use at the next turn."""
    desk.python("def say() -> str: return 'one'\n", "say")
    assert await desk.call("say") == "one"
    desk.save("mine", broken)
    for _ in range(3):
        assert await desk.call("say") == "one"
        desk.save("mine", broken)
    [told] = desk.events(ConfigRejected)
    assert told.problems[0].startswith(line)
    assert told.problems[0].endswith("; the last good one goes on")
    assert sum(line in record.message for record in caplog.records) == 1
    desk.save("mine", "def say() -> str: return 'two'\n")
    assert await desk.call("say") == "two"


async def test_a_file_that_was_never_good_offers_nothing_until_it_is(desk: Bench) -> None:
    """The other tools are offered; the missing file is told once, and found when it is there."""
    desk.python("def here() -> str: return 'here'\n", "here", file="good")
    desk.tool("late", "python", callable="later:late")
    desk.tool("gone", "python", callable="good:gone")
    assert await desk.names() == ["here"]
    assert await desk.names() == ["here"]
    said = sorted(event.problems[0] for event in desk.events(ConfigRejected))
    assert said == [
        "there is no file tools/later.py",
        "tools/good.py: gone is not there: the file has no such function",
    ]
    desk.save("later", "def late() -> str: return 'late'\n")
    assert await desk.names() == ["here", "late"]


async def test_a_broken_file_saved_this_moment_is_looked_at_again_before_it_is_news(
    desk: Bench, tmp_path: Path
) -> None:
    """Half a file that an editor writes on is no news; the whole one is loaded."""
    path = tmp_path / "tools" / "mine.py"
    desk.python("def say(", "say")
    saved = path.stat().st_mtime
    desk.clock.jump(saved - desk.clock.now())
    told: list[list[str]] = []

    async def ask() -> None:
        told.append(await desk.names())

    async with anyio.create_task_group() as group:
        group.start_soon(ask)
        await eventually(lambda: [due.moment for due in desk.clock._due if due.wake] == [0.3])
        desk.save("mine", "def say() -> str: return 'whole'\n")
        await desk.clock.advance(0.3)
    assert told == [["say"]]
    assert desk.events(ConfigRejected) == []


async def test_a_file_saved_twice_within_a_second_is_not_stale(desk: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts of one length, a second told alike: what runs is the last, and nothing is written beside it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = desk.root / "tools" / "mine.py"
    desk.python("def say() -> str: return 'one'\n", "say")
    for nanoseconds, word in enumerate(("two", "six"), start=1):
        path.write_text(f"def say() -> str: return '{word}'\n")
        os.utime(path, ns=(0, 1_600_000_000_000_000_000 + nanoseconds))
        assert await desk.call("say") == word
    assert not (desk.root / "tools" / "__pycache__").exists()


async def test_a_file_cannot_stand_in_for_a_package(desk: Bench) -> None:
    """tools/config.py or tools/json.py shadow nothing; their own absolute imports give the installed packages."""
    desk.python(
        "import config, json\ndef mine() -> str: return f'{config.__file__} {json.__name__}'\n", "mine", file="config"
    )
    desk.python("def other() -> str: return 'x'\n", "other", file="json")
    import config as ours

    told = await desk.call("mine")
    assert told == f"{ours.__file__} json"
    assert await desk.call("other") == "x"


async def test_a_file_is_loaded_once_for_all_bots(desk: Bench) -> None:
    """Two bots share the module."""
    desk.python("import itertools\ncount = itertools.count(1)\ndef tick() -> int: return next(count)\n", "tick")
    told = []
    for bot_id in ("one", "two"):
        box = desk.boxes.of(desk.spec(bot_id))
        told.append(await box.call(ToolCall("1", "tick", "{}"), desk.context(bot_id=bot_id)))
    assert told == ["1", "2"]
