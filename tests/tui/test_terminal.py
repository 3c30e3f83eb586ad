"""The console in a real terminal: however it ends, the terminal is whole and the bots run on."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import anyio
import pytest

from console.attach import connect
from console.control import BotRow
from console.place import find
from tests.operated import World
from tests.terminals import ENTERED, Terminal, alive, children
from tests.waiting import eventually_sync

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and sigwaitinfo"),
]

FAILING = """
import sys
from console.cli import run
from console.tui import app
def fail(*_): raise ValueError("token 100001:" + "A" * 35)
app.ConsoleApp.action_help = fail
sys.exit(run(sys.argv[1:]))
"""

Open = Callable[..., Terminal]

PICTURES = 40
"""So many are more than the thirty that Textual keeps for a terminal, and what the kernel takes."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    for bot_id in ("alpha", "beta"):
        made.add_bot(bot_id, telegram={"poll_timeout_s": 1})
    yield made
    made.end()


@pytest.fixture
def opened(world: World) -> Iterator[Open]:
    terminals: list[Terminal] = []
    pids: set[int] = set()

    def open_(*arguments: str, program: tuple[str, ...] = ("-m", "console"), **environment: str) -> Terminal:
        terminal = Terminal(
            sys.executable, *program, *arguments, "-C", str(world.root), XDG_RUNTIME_DIR=str(world.runtime),
            XDG_STATE_HOME=str(world.runtime), **environment,
        )  # fmt: skip
        terminals.append(terminal)
        return terminal

    yield open_
    for terminal in terminals:
        pids.update(children(terminal.process.pid))
        terminal.end()
    owner = _owner(world)
    for pid in pids | ({owner} if owner else set()):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def _owner(world: World) -> int | None:
    from console.lock import owner_of

    owner = owner_of(world.root / "botdeck.db")
    return owner.pid if owner else None


def running(terminal: Terminal) -> int:
    """Wait until the console shows both bots running; return the pid of the process that shows it."""
    terminal.until(ENTERED)
    terminal.until(lambda: "alpha" in terminal.text and "beta" in terminal.text and terminal.text.count("running") >= 2)
    return children(terminal.process.pid)[0]


def test_run_shows_the_fleet_and_quit_stops_it(world: World, opened: Open) -> None:
    """q asks, "stop" drains and ends with 0: the terminal is as it was, nobody owns the fleet any more."""
    terminal = opened("run")
    running(terminal)
    assert world.ask("alpha", "hello") == "hello"
    terminal.keys("q")
    terminal.until("Stop")
    terminal.keys("s")
    assert terminal.ended() == 0
    assert terminal.restored
    assert _owner(world) is None


def test_detached_bots_run_on_and_a_console_comes_back(world: World, opened: Open) -> None:
    """Detaching gives the prompt back with 0; the bots answer; `attach` shows them and its quit stops nothing."""
    terminal = opened("run")
    pid = running(terminal)
    terminal.keys("q")
    terminal.until("Detach")
    terminal.keys("d")
    assert terminal.ended() == 0
    assert terminal.restored
    assert "runs on" in terminal.text
    assert alive(pid)
    terminal.hang_up()
    assert world.ask("beta", "still there?") == "still there?"
    second = opened("attach")
    running(second)
    second.until("ATTACHED")
    second.keys("q")
    assert second.ended() == 0
    assert second.restored
    assert _owner(world) == pid
    os.kill(pid, signal.SIGTERM)
    eventually_sync(lambda: not alive(pid))


def test_sigterm_restores_the_terminal_and_drains(world: World, opened: Open) -> None:
    """A service manager's TERM, sent to the process in front: drained, 0, whole terminal."""
    terminal = opened("run")
    running(terminal)
    terminal.process.terminate()
    assert terminal.ended() == 0
    assert terminal.restored
    assert _owner(world) is None


def test_sigint_restores_the_terminal_and_drains(world: World, opened: Open) -> None:
    """INT from outside counts as Ctrl-C where there is no screen; the key itself stops nothing."""
    terminal = opened("run")
    pid = running(terminal)
    terminal.keys("\x03")
    terminal.until("press q to leave")
    assert alive(pid)
    os.kill(pid, signal.SIGINT)
    assert terminal.ended() == 0
    assert terminal.restored


def test_a_window_that_closes_leaves_the_bots_running(world: World, opened: Open) -> None:
    """SIGHUP is a detach."""
    terminal = opened("run")
    pid = running(terminal)
    terminal.hang_up()
    terminal.process.wait(20)
    assert alive(pid)
    assert world.ask("alpha", "still there?") == "still there?"
    assert world.cli("status").returncode == 0


def test_a_terminal_nobody_reads_stops_no_bot(world: World, opened: Open) -> None:
    """A stuck connection: the bots answer though more pictures wait than there is room for, and the screen is whole once it is read."""
    terminal = opened("run")
    running(terminal)
    for _ in range(PICTURES):
        terminal.keys("\x14")  # another theme: all of the screen is painted
        assert world.ask("alpha", "still there?") == "still there?"
    terminal.output = b""
    terminal.until(lambda: "alpha" in terminal.text and "beta" in terminal.text)
    terminal.keys("q")
    terminal.until("Stop")
    terminal.keys("s")
    assert terminal.ended() == 0
    assert terminal.restored


@pytest.mark.parametrize("choice", ["d", "s"])
def test_a_terminal_nobody_reads_can_be_left(world: World, opened: Open, choice: str) -> None:
    """The last words are left out where nobody takes them: detached bots answer, a stopped fleet ends."""
    terminal = opened("run")
    pid = running(terminal)
    for _ in range(PICTURES):
        terminal.keys("\x14")
        assert world.ask("alpha", "still there?") == "still there?"
    terminal.keys("q", choice)
    eventually_sync(lambda: terminal.process.poll() is not None)
    assert terminal.process.returncode == 0
    assert alive(pid) == (choice == "d")
    if choice == "d":
        assert world.ask("beta", "still there?") == "still there?"
        os.kill(pid, signal.SIGTERM)
        eventually_sync(lambda: not alive(pid))


def test_an_exception_in_the_console_leaves_the_bots_running(world: World, opened: Open) -> None:
    """The terminal is whole, the way back is told, no secret is printed, the bots answer, Ctrl-C still ends the fleet."""
    terminal = opened("run", program=("-c", FAILING))
    pid = running(terminal)
    terminal.keys("?")
    terminal.until("the bots run on")
    terminal.until("ready: fleet")
    assert terminal.restored
    assert f"botdeck attach -C {world.root}" in terminal.text
    assert "AAAAAAAA" not in terminal.text
    assert world.ask("alpha", "still there?") == "still there?"
    second = opened("attach")
    running(second)
    second.keys("q")
    assert second.ended() == 0
    assert alive(pid)
    terminal.keys("\x03")
    assert terminal.ended() == 0


def test_an_exception_in_an_attached_console_is_told(world: World, opened: Open) -> None:
    """Exit 1, whole terminal, no secret, the fleet untouched."""
    world.start()
    terminal = opened("attach", program=("-c", FAILING))
    running(terminal)
    terminal.keys("?")
    assert terminal.ended() == 1
    assert terminal.restored
    assert "the fleet is not touched" in terminal.text
    assert "AAAAAAAA" not in terminal.text
    assert world.ask("alpha", "still there?") == "still there?"


def test_kill_9_of_an_attached_console(world: World, opened: Open) -> None:
    """The process in front puts the terminal right; the bots have not noticed."""
    world.start()
    terminal = opened("attach")
    os.kill(running(terminal), signal.SIGKILL)
    assert terminal.ended() == 128 + signal.SIGKILL
    assert terminal.restored
    assert world.ask("alpha", "still there?") == "still there?"


def test_run_beside_a_running_fleet_offers_to_attach(world: World, opened: Open) -> None:
    """Yes opens the console; no ends with 75."""
    world.start()
    terminal = opened("run")
    terminal.until("Attach to it?")
    terminal.keys("y\r")
    running(terminal)
    terminal.until("ATTACHED")
    terminal.keys("q")
    assert terminal.ended() == 0
    refused = opened("run")
    refused.until("Attach to it?")
    refused.keys("n\r")
    assert refused.ended() == 75


EDITOR = """#!/bin/sh
# Mistypes the first time, mends it the second; waits to be let go, so that it can be seen what happens meanwhile.
if grep -q hot "$1"; then sed -i s/'"hot"'/0.5/ "$1"; else printf 'temperature = "hot"\\n' >> "$1"; fi
echo open >> {mark}
while [ ! -e {gate} ]; do sleep 0.05; done
"""


def test_an_editor_of_ones_own(world: World, opened: Open, tmp_path: Path) -> None:
    """The bots answer while it is open; a text with a mistake comes back with the mistake on top; then it is live."""
    script, mark, gate = tmp_path / "editor.sh", tmp_path / "mark", tmp_path / "gate"
    script.write_text(EDITOR.format(mark=mark, gate=gate))
    script.chmod(0o755)
    file = world.root / "bots" / "alpha.toml"
    before = file.read_text()
    terminal = opened("run", EDITOR=str(script))
    running(terminal)
    terminal.keys("E")
    eventually_sync(lambda: mark.exists())
    assert world.ask("alpha", "still there?") == "still there?"
    gate.touch()
    terminal.until("cannot be saved")
    assert file.read_text() == before
    terminal.output = b""
    terminal.keys("\r")
    terminal.until("next turn")
    terminal.keys("\x1b[C", "\r")
    eventually_sync(lambda: "temperature = 0.5" in file.read_text())
    assert mark.read_text().count("open") == 2
    assert world.ask("alpha", "and now?") == "and now?"


def test_hearts_beat_while_a_file_is_edited(world: World, opened: Open, tmp_path: Path) -> None:
    """Every bot's polls come back again and again, in the built-in editor and in one of one's own; nobody counts as hung."""
    script, mark, gate = tmp_path / "editor.sh", tmp_path / "mark", tmp_path / "gate"
    script.write_text(EDITOR.format(mark=mark, gate=gate))
    script.chmod(0o755)
    terminal = opened("run", EDITOR=str(script))
    running(terminal)
    terminal.keys("i")
    terminal.until("changes nothing")
    terminal.keys(*"# not done yet")
    _hearts_beat(world, 3)
    terminal.keys("\x1b")
    terminal.until("is not saved")
    terminal.output = b""
    terminal.keys("\x1b[C", "\r")
    terminal.until("WHAT HAPPENED LAST")
    terminal.keys("E")
    eventually_sync(mark.exists)
    _hearts_beat(world, 4)
    assert not gate.exists()
    gate.touch()
    terminal.until("cannot be saved")


def _hearts_beat(world: World, times: int) -> None:
    """Wait until the last poll of every bot has been a new one so many times."""
    ages: dict[str, float] = {}
    renewed = {"alpha": 0, "beta": 0}

    def beaten() -> bool:
        for row in anyio.run(_bots, world):
            age = row["last_poll_age_s"] or 0.0
            assert not row["conditions"].get("hung", {}).get("status")
            renewed[row["bot_id"]] += age < ages.get(row["bot_id"], 0.0)
            ages[row["bot_id"]] = age
        return min(renewed.values()) >= times

    eventually_sync(beaten)


async def _bots(world: World) -> list[BotRow]:
    return (await (await connect(find(world.root, None))).status())["bots"]


def test_a_demo_nobody_looks_at_ends(world: World) -> None:
    """A window that closes ends the demo, its processes and its folder."""
    terminal = Terminal.botdeck(
        "demo",
        "--pace",
        "5",
        XDG_RUNTIME_DIR=str(world.runtime),
        XDG_STATE_HOME=str(world.runtime),
        TMPDIR=str(world.runtime),
    )
    try:
        terminal.until("gardener")
        [pid] = children(terminal.process.pid)
        terminal.hang_up()
        eventually_sync(lambda: not alive(pid), within_s=40)
        eventually_sync(lambda: not list(world.runtime.glob("botdeck-demo-*")))
    finally:
        terminal.end()


def test_a_dumb_terminal_gets_lines(world: World, opened: Open) -> None:
    """No escape sequence where none is understood; `attach` says what to use instead."""
    terminal = opened("run", TERM="dumb")
    terminal.until("ready: fleet")
    assert b"\x1b" not in terminal.output
    terminal.keys("\x03")
    assert terminal.ended() == 0
    refused = opened("attach", TERM="dumb")
    assert refused.ended() == 1
    assert "botdeck status" in refused.text


def test_a_folder_without_a_fleet_offers_one(world: World, tmp_path: Path) -> None:
    """Create writes a fleet and runs it; quit changes nothing."""
    empty = tmp_path / "empty"
    empty.mkdir()
    terminal = Terminal.botdeck(
        "run", "-C", str(empty), XDG_RUNTIME_DIR=str(world.runtime), XDG_STATE_HOME=str(world.runtime)
    )
    try:
        terminal.until("Create a fleet here")
        terminal.keys("q")
        assert terminal.ended() == 0
        assert list(empty.iterdir()) == []
    finally:
        terminal.end()
