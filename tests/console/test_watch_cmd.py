"""`botdeck watch`: the fleet in a few lines, drawn over themselves on a terminal, one after another in a pipe."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operated import World, begin, finish, read_until
from tests.terminals import ENTERED, Terminal

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    for bot_id in ("alpha", "beta"):
        made.add_bot(bot_id)
    (made.root / "bots" / "broken.toml").write_text("channel = 1\n")
    yield made
    made.end()


def test_on_a_terminal_the_picture_is_drawn_over_itself(world: World) -> None:
    """No alternate screen; worst first; it waits for a fleet, follows it, tells of its end, and Ctrl-C ends it with 0."""
    terminal = Terminal.botdeck(
        "watch", "-C", str(world.root), "--rows", "2", XDG_RUNTIME_DIR=str(world.runtime), columns=80, lines=24
    )
    try:
        terminal.until("does not run")
        world.start()
        terminal.until("… and 1 more")
        assert terminal.text.index("broken") < terminal.text.index("alpha")
        assert b"F\x1b[J" in terminal.output
        assert ENTERED not in terminal.output
        world.cli("pause", "alpha")
        terminal.until("paused")
        assert max(map(len, terminal.text.splitlines())) <= 80
        assert world.fleet is not None
        finish(world.fleet)
        shown = len(terminal.text)
        terminal.until(lambda: "does not run" in terminal.text[shown:])
        terminal.keys("\x03")
        assert terminal.ended() == 0
        assert terminal.restored
    finally:
        terminal.end()


def test_in_a_pipe_no_escape_is_written(world: World) -> None:
    """Each picture follows the one before, as plain lines."""
    world.start()
    process = begin("watch", "-C", str(world.root), XDG_RUNTIME_DIR=str(world.runtime))
    lines = read_until(process, "alpha")
    code, rest = finish(process, signal.SIGINT)
    assert code == 0
    assert "\x1b" not in "\n".join([*lines, rest])
    assert any(line.startswith("BOT ") for line in lines)


def test_json_is_one_frame_a_line(world: World) -> None:
    """A fleet that does not run is a line too; then the whole picture, then what changes."""
    process = begin("watch", "-C", str(world.root), "--json", XDG_RUNTIME_DIR=str(world.runtime))
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"running": False}
        world.start()
        frame = json.loads(process.stdout.readline())
        assert (frame["full"], frame["rev"]) == (True, 1)
        assert [row["bot_id"] for row in frame["bots"]] == ["alpha", "beta", "broken"]
        later = json.loads(process.stdout.readline())
        assert (later["full"], later["rev"]) == (False, 2)
    finally:
        finish(process, signal.SIGINT)
