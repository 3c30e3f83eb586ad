"""Processes of the nursery are as fresh ones are: what is tested in them is tested."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import nursery
from tests.operated import PATIENCE_S, begin, clean, read_until
from tests.terminals import alive, children
from tests.waiting import eventually_sync

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every process is a fresh one")


@pytest.mark.parametrize("words", [("check",), ("check", "--json"), ("config", "show", "a"), ("nothing",)])
def test_a_child_does_what_a_fresh_process_does(tmp_path: Path, words: tuple[str, ...]) -> None:
    """Arguments, folder, environment, both outputs to the byte, and the exit code."""
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "a.toml").write_text('channel = "none"\nname = "${NAME}"\n')
    command = [sys.executable, "-m", "console", *words]
    how: dict[str, Any] = {"cwd": tmp_path, "env": clean({"NAME": "Anna"}), "stdin": subprocess.DEVNULL}
    fresh = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, check=False, **how)
    child = nursery.run(command, timeout_s=PATIENCE_S, **how)
    assert (child.returncode, child.stdout, child.stderr) == (fresh.returncode, fresh.stdout, fresh.stderr)
    assert child.stdout + child.stderr


def test_a_child_is_ours_and_no_other_is() -> None:
    """It is waited for and killed as any child; what it starts and leaves is not handed to us; it holds no stream of others."""
    first, second = (begin("sandbox", "--port", "0") for _ in range(2))
    with first, second:
        for process in (first, second):
            assert process.pid in children(os.getpid())
            read_until(process, "# ready")
        second.kill()
        assert second.wait(PATIENCE_S) == -signal.SIGKILL
        assert second.stdout is not None
        assert second.stdout.read() == "", "the end of its output is seen while the other lives"
        assert first.poll() is None
        first.send_signal(signal.SIGINT)
        assert first.wait(PATIENCE_S) == 0
    assert not any(alive(pid) for pid in (first.pid, second.pid))


def test_a_nursery_that_has_gone_is_followed_by_another() -> None:
    """Killed by whom ever: the next child has a new one."""
    before = nursery.nursery()
    before._process.kill()
    before._process.wait()
    assert nursery.run([sys.executable, "-m", "console", "--version"], timeout_s=PATIENCE_S).returncode == 0
    assert nursery.nursery() is not before
    eventually_sync(lambda: not alive(before._process.pid))
