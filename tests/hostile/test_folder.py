"""A `bots/` folder with everything in it that is no bot: nothing is waited for, nobody else is kept from running."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import config.load
from config.files import bot_files
from config.load import Loader
from tests.operated import ROOT

GOOD = 'channel = "none"\n'
STRANGE = {
    "outside": None, "dangling": "does not exist", "circle": "leads back to itself", "pipe": "is a pipe", "socket": "is a socket",
    "folder": "is a folder", "device": "is a device", "folder_link": "is a folder",
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A fleet of one good bot among what should not be there."""
    bots = tmp_path / "bots"
    bots.mkdir()
    (bots / "good.toml").write_text(GOOD)
    (tmp_path / "elsewhere").write_text(GOOD)
    (bots / "outside.toml").symlink_to(tmp_path / "elsewhere")
    (bots / "dangling.toml").symlink_to("nowhere")
    (bots / "circle.toml").symlink_to("circle.toml")
    os.mkfifo(bots / "pipe.toml")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(bots / "socket.toml"))
    (bots / "folder.toml").mkdir()
    (bots / "device.toml").symlink_to("/dev/zero")
    (bots / "folder_link.toml").symlink_to(bots)
    return tmp_path


def test_each_strange_file_is_a_problem_of_its_own(root: Path) -> None:
    """At the first look, at the next, and when it is named as changed; a link to a good file is a good file."""
    loader = Loader(root)
    for changed in (None, None, sorted((root / "bots").iterdir()), [root / "bots"]):
        snapshot = loader.load(changed)
        assert set(snapshot.bots) == {"good", "outside"}
        assert {p.bot_id for p in snapshot.problems} == {name for name, words in STRANGE.items() if words}
        for problem in snapshot.problems:
            assert (STRANGE[problem.bot_id or ""] or "") in problem.message


AS_ANOTHER = """
import os, sys
from pathlib import Path
from config.load import Loader
Loader(Path(sys.argv[1])).load()  # whatever it imports, it imports as us
if os.getuid() == 0:
    os.setuid(65534)
snapshot = Loader(Path(sys.argv[1])).load()
print(sorted(snapshot.bots), [problem.message for problem in snapshot.problems])
"""


def test_a_file_nobody_lets_us_read() -> None:
    """Tried as another user, where we are root."""
    with tempfile.TemporaryDirectory() as made:
        bots = Path(made, "bots")
        bots.mkdir()
        Path(made).chmod(0o755)
        (bots / "good.toml").write_text(GOOD)
        (bots / "secret.toml").write_text(GOOD)
        (bots / "secret.toml").chmod(0)
        command = [sys.executable, "-c", AS_ANOTHER, made]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "['good'] ['may not be read']\n", done.stderr


def test_a_file_that_is_gone_when_it_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the list and the reading: it is a problem now, and no bot any more at the next look."""
    late = root / "bots" / "late.toml"
    late.write_text(GOOD)

    def listed(folder: Path) -> list[object]:
        found = list(bot_files(folder))
        late.unlink(missing_ok=True)
        return list(found)

    monkeypatch.setattr(config.load, "bot_files", listed)
    loader = Loader(root)
    assert [p.message for p in loader.load().problems_of("late")] == [
        "does not exist, or is a link that points nowhere"
    ]
    again = loader.load()
    assert "late" not in again.bots
    assert again.problems_of("late") == ()


def test_ten_thousand_files_that_are_no_bots(root: Path) -> None:
    """They are not even looked at."""
    for number in range(10_000):
        (root / "bots" / f"n{number}.txt").touch()
    assert set(Loader(root).load().bots) == {"good", "outside"}


def test_names_that_name_no_bot_are_told_once_each(root: Path) -> None:
    """Whatever bytes stand in them; hidden files and editors' droppings are nobody's business."""
    for name in ("_fleet", "A", "a b", "a\nb", "..x", "ä", "\u0430", "x" * 51, "a\x1b[2J", "\udcff", "", "-", "%2e%2e"):
        (root / "bots" / f"{name}.toml").write_text(GOOD)
    snapshot = Loader(root).load()
    told = [p for p in snapshot.problems if p.bot_id is None]
    assert set(snapshot.bots) == {"good", "outside"}
    assert len(told) == 11, "two of them are hidden"
    assert all("cannot name a bot" in p.message and p.message.isprintable() for p in told)


def test_a_folder_that_goes_and_comes_back(root: Path) -> None:
    """No folder is no bot; a file in its place is one problem; back again, all are there."""
    loader, bots = Loader(root), root / "bots"
    first = loader.load()
    bots.rename(root / "away")
    assert (dict(loader.load().bots), loader.load().problems) == ({}, ())
    bots.write_text("no folder")
    (problem,) = loader.load().problems
    assert problem.file == bots
    bots.unlink()
    (root / "away").rename(bots)
    assert loader.load().bots == first.bots
    shutil.rmtree(root)
