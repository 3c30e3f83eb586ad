"""`botdeck run` as a process: ready line, signals, exit codes, the lock, the service manager."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.operated import PATIENCE_S, ROOT, World, begin, botdeck, finish, read_until

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.end()


def test_the_ready_line_names_the_bots_and_how_to_look(world: World) -> None:
    """One line says what runs; it answers messages; SIGTERM ends it with 0."""
    world.add_bot("alpha")
    world.add_bot("beta")
    line = world.start()
    assert "2 bots: alpha, beta" in line
    assert f"botdeck status -C {world.root}" in line
    assert world.ask("alpha", "ping") == "ping"
    assert world.fleet is not None
    code, _ = finish(world.fleet)
    assert code == 0
    assert list(world.runtime.rglob("*.sock")) == []


def test_a_second_fleet_is_refused_by_pid(world: World) -> None:
    """Exit 75 with the owner's pid; the first runs on."""
    world.add_bot("alpha")
    world.start()
    assert world.fleet is not None
    second = world.cli("run", "--no-ui")
    assert second.returncode == 75
    assert f"pid {world.fleet.pid}" in second.stderr
    assert "Traceback" not in second.stderr
    assert world.ask("alpha", "still there?") == "still there?"


def test_sigint_ends_and_sighup_does_not(world: World) -> None:
    """A lost terminal stops no bot; Ctrl-C drains and ends with 0."""
    world.add_bot("alpha")
    world.start()
    assert world.fleet is not None
    world.fleet.send_signal(signal.SIGHUP)
    read_until(world.fleet, "")
    assert world.ask("alpha", "there?") == "there?"
    code, output = finish(world.fleet, signal.SIGINT)
    assert code == 0, output


def test_a_second_signal_cuts_turns_short(world: World) -> None:
    """With a turn in flight the first signal waits, the second cancels it: exit 143, the update stays in the inbox."""
    world.add_bot("slow", llm={"provider": "echo", "options": {"delay_s": 600}})
    world.start()
    assert world.fleet is not None
    world.post("say", {"bot": "slow_bot", "chat_id": 7, "text": "hm"})
    _until_open(world)
    world.fleet.send_signal(signal.SIGTERM)
    _read_for(world, "SIGTERM")
    began = time.perf_counter()
    code, output = finish(world.fleet, signal.SIGTERM)
    assert code == 143, output
    assert time.perf_counter() - began < 15  # a turn in flight is given 20 s
    status = json.loads(world.cli("status", "--json").stdout)
    assert status["bots"][0]["inbox_open"] == 1


def test_a_third_signal_exits_at_once() -> None:
    """Whatever hangs: the third signal ends the process with its code, without waiting for anything."""
    code = (
        "import anyio, signal; from console.ending import Ending\n"
        "async def hang():\n"
        "    ending = Ending()\n"
        "    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT): ending.take(number)\n"
        "    print('still here')\n"
        "anyio.run(hang)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "")


@pytest.mark.parametrize("place", ["console.runtime.Pool.apply", "console.runtime.find"])
def test_what_nobody_expected_is_a_sentence_and_exit_1(tmp_path: Path, place: str) -> None:
    """A mistake of ours: its trace once, without tokens, then one sentence, exit 1, and nothing left behind."""
    module, _, name = place.rpartition(".")
    code = (
        "import sys, pydoc; from console.cli import run\n"
        "def fail(*a, **k): raise ValueError('token 100001:' + 'A' * 35)\n"
        f"setattr(pydoc.locate({module!r}), {name!r}, fail)\n"
        "sys.exit(run(['run', '--no-ui', '-C', sys.argv[1]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("Traceback") == 1
    assert "error: the fleet failed: ValueError" in done.stderr
    assert "AAAAA" not in done.stderr
    assert not list(tmp_path.rglob("*.sock"))


def test_a_signal_before_ready_ends_the_start(tmp_path: Path) -> None:
    """A fleet that is still starting ends without a trace."""
    (tmp_path / "bots").mkdir()
    process = begin("run", "--no-ui", "-C", str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path))
    process.send_signal(signal.SIGTERM)
    code, output = finish(process, None)
    assert code in {0, -signal.SIGTERM}
    assert "Traceback" not in output


def test_a_bad_fleet_toml_is_exit_2_with_its_place(tmp_path: Path) -> None:
    """Nothing starts on a bad fleet.toml; bad bot files do not keep the others from running."""
    (tmp_path / "fleet.toml").write_text("[fleet]\nnaem = 1\n")
    done = botdeck("run", "--no-ui", "-C", str(tmp_path))
    assert done.returncode == 2
    assert "fleet.toml:2:1" in done.stderr
    assert "did you mean name" in done.stderr
    assert botdeck("run", "--no-ui", "-C", str(tmp_path / "nowhere")).returncode == 2


def test_a_database_that_cannot_be_made_is_one_error(tmp_path: Path) -> None:
    """One clear sentence, exit 1, no trace."""
    (tmp_path / "file").touch()
    (tmp_path / "fleet.toml").write_text('[fleet]\ndatabase = "file/botdeck.db"\n')
    done = botdeck("run", "--no-ui", "-C", str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "cannot be the database" in done.stderr


def test_a_damaged_database_is_refused(world: World) -> None:
    """A file that is no database is named, and left as it is."""
    world.add_bot("alpha")
    (world.root / "botdeck.db").write_bytes(b"not a database" * 1000)
    done = world.cli("run", "--no-ui")
    assert done.returncode == 1
    assert "botdeck.db" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_service_manager_is_told(world: World, tmp_path: Path) -> None:
    """READY after the first pass, STATUS with counts, WATCHDOG from the loop, STOPPING at the end."""
    world.add_bot("alpha")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "n"))
        listener.settimeout(PATIENCE_S)
        world.start(NOTIFY_SOCKET=str(tmp_path / "n"), WATCHDOG_USEC="400000")
        first = listener.recv(1000).decode().split("\n")
        assert "READY=1" in first
        while "STATUS=1 of 1 bots running" not in (message := listener.recv(1000).decode()):
            pass
        assert "WATCHDOG=1" in message
        assert world.fleet is not None
        world.fleet.terminate()
        while "STOPPING=1" not in listener.recv(1000).decode():
            pass


def test_log_lines_may_be_json(world: World) -> None:
    """--log-format json: every line of the log is a document of its own, without secrets."""
    world.add_bot("alpha")
    world.start("--log-format", "json")
    assert world.fleet is not None
    world.ask("alpha", "x")
    _, output = finish(world.fleet)
    lines = [json.loads(line) for line in output.splitlines()]
    assert {"bot_id", "level", "text"} <= lines[0].keys()
    assert world.tokens["alpha"] not in output


def test_run_without_a_terminal_prints_lines(tmp_path: Path) -> None:
    """`run` in a pipe runs as with --no-ui: no screen, no escape code."""
    (tmp_path / "bots").mkdir()
    process = begin("run", "-C", str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path))
    lines = read_until(process, "ready")
    assert len(lines) == 1
    assert "no bots" in lines[0]
    assert "\x1b" not in lines[0]
    assert finish(process)[0] == 0


def test_an_edit_is_live_and_a_bad_one_is_not(world: World) -> None:
    """A saved change answers differently; a broken file leaves the bot running and is reported."""
    world.add_bot("alpha", prompts={"system": "one"})
    world.start()
    path = world.root / "bots" / "alpha.toml"
    good = path.read_text()
    path.write_text(good + "\nbroken\n")
    _until(world, lambda bot: bool(bot["config_error"]))
    assert world.ask("alpha", "alive") == "alive"
    assert world.cli("status").returncode == 0
    assert world.cli("status", "--strict").returncode == 3
    path.write_text(good.replace("one", "two"))
    bot = _until(world, lambda bot: not bot["config_error"])
    assert bot["observed_generation"] == bot["generation"]
    path.unlink()
    _until_gone(world)


def _bots(world: World) -> list[dict[str, object]]:
    return list(json.loads(world.cli("status", "--json").stdout)["bots"])


def _until(world: World, wanted) -> dict[str, object]:
    for _ in range(100):
        for bot in _bots(world):
            if wanted(bot):
                return bot
    raise AssertionError(f"still {_bots(world)}")


def _until_open(world: World) -> None:
    _until(world, lambda bot: bot["inbox_open"] == 1)


def _until_gone(world: World) -> None:
    for _ in range(100):
        if not _bots(world):
            return
    raise AssertionError(f"still {_bots(world)}")


def _read_for(world: World, word: str) -> None:
    assert world.fleet is not None
    assert world.fleet.stdout is not None
    for line in world.fleet.stdout:
        if word in line:
            return
    raise AssertionError(f"{word} never came")
