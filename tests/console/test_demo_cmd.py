"""`botdeck demo`: a newcomer's first minute, as a process."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.operated import begin, botdeck, finish, read_until

pytestmark = pytest.mark.timeout(60)


def test_people_talk_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Eight bots answer scripted people on a temporary folder, which is gone after Ctrl-C."""
    process = begin("demo", "--pace", "20", TMPDIR=str(tmp_path), XDG_RUNTIME_DIR=str(tmp_path))
    lines = read_until(process, "ready")
    assert "http://127.0.0.1:" in lines[0]
    assert "8 bots: club, courier, gardener, keeper, poet, shop, support, twin" in lines[-1]
    [made] = [path for path in tmp_path.iterdir() if path.name.startswith("botdeck-demo-")]
    assert (made / "fleet.toml").exists()
    answered = set()
    assert process.stdout is not None
    for line in process.stdout:
        speaker = line.split(" ")[1] if " → " in line else ""
        answered |= {speaker} & {"poet", "shop", "support"}
        if len(answered) == 3:
            break
    code, output = finish(process, signal.SIGINT)
    assert code == 0
    raised = {line.strip() for line in output.splitlines() if re.match(r"\s*\w+(Error|Exception)\b", line)}
    assert raised <= {"RuntimeError: the courier's bicycle has a flat tyre"}  # as its troubles want it
    assert output.rstrip().endswith("demo: over")
    assert [path for path in tmp_path.iterdir() if path.name.startswith("botdeck-demo-")] == []


def test_keep_leaves_a_fleet_that_can_be_looked_at(tmp_path: Path) -> None:
    """--keep DIR: the folder stays, its database says what happened."""
    folder = tmp_path / "mine"
    process = begin("demo", "--pace", "20", "--keep", str(folder), XDG_RUNTIME_DIR=str(tmp_path))
    read_until(process, "ready")
    finish(process, signal.SIGINT)
    done = botdeck("status", "-C", str(folder), XDG_RUNTIME_DIR=str(tmp_path))
    assert "8 stopped" in done.stdout
    assert "demo: does not run" in done.stdout


def test_a_folder_with_another_fleet_is_not_touched(tmp_path: Path) -> None:
    """The demo refuses a fleet that is not its own."""
    (tmp_path / "fleet.toml").write_text("# mine\n")
    done = botdeck("demo", "--keep", str(tmp_path))
    assert done.returncode == 2
    assert "another folder" in done.stderr
