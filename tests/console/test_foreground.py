"""The process in front: the shell's prompt, the terminal's settings, and signals, whatever becomes of the one behind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.terminals import LEFT, Terminal, alive, children
from tests.waiting import eventually_sync

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform != "linux", reason="needs sigwaitinfo and /proc"),
]

BODY = """
import os, signal, sys, termios, tty
from pathlib import Path
from console.foreground import in_front
mark = Path({mark!r})
def note(word):
    with mark.open("a") as file: file.write(word + "\\n")
WATCHED = {{signal.SIGTERM, signal.SIGHUP, signal.SIGINT}}
def heard():
    note(signal.Signals(signal.sigwait(WATCHED)).name)
def body(foreground):
    signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)  # one that comes before it is waited for is not lost
    note(f"pid {{os.getpid()}}")
    {rest}
sys.exit(in_front(body))
"""

Start = Callable[[str], Terminal]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "mark"


@pytest.fixture
def start(mark: Path) -> Iterator[Start]:
    opened: list[Terminal] = []

    def begin(rest: str) -> Terminal:
        opened.append(Terminal(sys.executable, "-c", BODY.format(mark=str(mark), rest=rest)))
        return opened[-1]

    yield begin
    for terminal in opened:
        terminal.end()
    for pid in _pids(mark):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def _pids(mark: Path) -> list[int]:
    words = mark.read_text().splitlines() if mark.exists() else []
    return [int(word.split()[1]) for word in words if word.startswith("pid ")]


def behind(mark: Path) -> int:
    return eventually_sync(lambda: _pids(mark))[0]


WAIT = "while True: heard()"
FULL_SCREEN = "tty.setraw(0); os.write(1, b'\\x1b[?1049h\\x1b[?25l'); note('raw'); heard()"


def test_the_exit_code_comes_through(start: Start) -> None:
    """What the one behind returns is what the shell sees."""
    assert start("return 7").ended() == 7


def test_detached_gives_the_prompt_back_and_goes_on(start: Start, mark: Path) -> None:
    """The one in front ends with 0; the one behind lives in a session of its own, without the terminal."""
    terminal = start("foreground.let_go(); note('free'); heard(); note('end')")
    assert terminal.ended() == 0
    pid = behind(mark)
    eventually_sync(lambda: "free" in mark.read_text())
    assert alive(pid)
    assert os.getsid(pid) == pid
    assert {os.readlink(f"/proc/{pid}/fd/{n}") for n in range(3)} == {"/dev/null"}
    terminal.hang_up()
    os.kill(pid, signal.SIGTERM)
    eventually_sync(lambda: mark.read_text().split()[-2:] == ["SIGTERM", "end"])
    assert "SIGHUP" not in mark.read_text()


def test_killed_without_a_word_leaves_a_whole_terminal(start: Start, mark: Path) -> None:
    """kill -9 of the one behind, with the terminal raw and on its other screen: all is put right, and told."""
    terminal = start(FULL_SCREEN)
    eventually_sync(lambda: mark.exists() and "raw" in mark.read_text())
    assert not terminal.restored
    os.kill(behind(mark), signal.SIGKILL)
    assert terminal.ended() == 128 + signal.SIGKILL
    assert terminal.restored
    assert LEFT in terminal.output
    assert b"\x1b[?25h" in terminal.output
    assert "ended by SIGKILL" in terminal.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_one_in_front_reaches_the_one_behind_once(
    start: Start, mark: Path, number: signal.Signals
) -> None:
    """Whoever is asked by pid, it is the one who works that hears it."""
    terminal = start("heard(); return 3")
    behind(mark)
    eventually_sync(lambda: children(terminal.process.pid))
    terminal.process.send_signal(number)
    assert terminal.ended() == 3
    assert mark.read_text().split().count(number.name) == 1


def test_ctrl_c_is_heard_once(start: Start, mark: Path) -> None:
    """The terminal sends it to both; it is not handed on a second time."""
    terminal = start("heard(); signal.sigtimedwait(WATCHED, 1) and note('SIGINT'); return 3")
    behind(mark)
    terminal.keys("\x03")
    assert terminal.ended() == 3
    assert mark.read_text().split().count("SIGINT") == 1


def test_the_one_behind_hears_when_the_one_in_front_is_gone(start: Start, mark: Path) -> None:
    """kill -9 of the one in front counts as a lost terminal."""
    terminal = start(WAIT)
    pid = behind(mark)
    eventually_sync(lambda: children(terminal.process.pid))
    terminal.process.kill()
    eventually_sync(lambda: "SIGHUP" in mark.read_text())
    assert alive(pid)


def test_a_window_that_closes_is_heard(start: Start, mark: Path) -> None:
    """Both hear of it; the one behind goes on."""
    terminal = start(WAIT)
    pid = behind(mark)
    terminal.hang_up()
    eventually_sync(lambda: "SIGHUP" in mark.read_text())
    assert alive(pid)
