"""Names and paths nobody should give: each is a sentence and an exit code, at once, and nothing else is touched."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from config.load import Loader
from store.errors import StoreOpenError
from store.opening import open_for_writing
from store.suitable import refuse_special
from tests.operated import botdeck

NUL = "a\\u0000b"
ROOTS = ("file", "dead", "loop", "pipe", "x" * 300, "")
DATABASES = ("loop", "pipe", ".", NUL, "x" * 300, "file/under/it.db", "bots/a.toml", "strange")
IDS = (
    "../fleet",
    "../../fleet",
    "..",
    "_fleet",
    "",
    "A",
    ".a",
    "a\nb",
    "x" * 300,
    "\x1b[2J",
    "%2e%2e%2ffleet",
    "ä",
    "a/b",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A fleet of one bot, and beside it what is no fleet and no database."""
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "a.toml").write_text('channel = "none"\n')
    (tmp_path / "file").write_text("mine")
    (tmp_path / "strange").write_bytes(b"another program's file" * 50)
    (tmp_path / "dead").symlink_to("nowhere")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def refused(*arguments: str) -> str:
    """Run a command that must end at once with a sentence; return it."""
    done = botdeck(*arguments)
    assert done.returncode in {1, 2, 4}, (arguments, done)
    assert "Traceback" not in done.stderr, (arguments, done.stderr)
    assert done.stderr.replace("\n", "").isprintable()
    return done.stderr


@pytest.mark.parametrize("name", ROOTS, ids=lambda name: name[:9])
def test_a_folder_that_is_none(root: Path, name: str) -> None:
    """-C on a file, a dead link, a circle of links, a pipe, a name too long."""
    folder = str(root / name) if name else "/proc/self/no such"
    assert "folder" in refused("check", "-C", folder)
    assert "folder" in refused("status", "-C", folder)


@pytest.mark.parametrize("name", ["loop", "pipe", "x" * 300, "file"])
def test_a_new_fleet_where_none_can_be(root: Path, name: str) -> None:
    """`botdeck init` says so."""
    refused("init", str(root / name))


def test_a_new_fleet_in_a_folder_with_a_strange_name_is_good(tmp_path: Path) -> None:
    """Its name becomes that of the fleet, as far as it may stand in a file."""
    folder = tmp_path / 'a"b\n[x]\x1b\\'
    assert botdeck("init", str(folder)).returncode == 0
    assert botdeck("check", "-C", str(folder)).returncode == 0
    assert Loader(folder).load().name == "ab[x]"


@pytest.mark.parametrize("database", DATABASES, ids=lambda name: name[:9])
def test_a_database_that_is_none(root: Path, database: str) -> None:
    """Every command that needs it refuses, waits for nobody, and leaves what lies there as it was."""
    (root / "fleet.toml").write_text(f'[fleet]\ndatabase = "{database}"\n')
    before = {path.name: path.lstat()[:3] for path in root.iterdir()}
    for arguments in (("run", "--no-ui"), ("backup", str(root / "copy"))):
        refused(*arguments, "-C", str(root))
    assert botdeck("doctor", "--no-network", "-C", str(root)).stderr == ""
    assert {path.name: path.lstat()[:3] for path in root.iterdir() if path.name in before} == before
    assert not (root / "copy").exists()


def test_another_programs_file_keeps_its_mode(tmp_path: Path) -> None:
    """A wrong path in fleet.toml, and root who runs it, must not lock others out of their file."""
    path = tmp_path / "theirs"
    path.write_bytes(b"root:x:0:0" * 100)
    path.chmod(0o644)
    with pytest.raises(StoreOpenError, match="not a database"):
        open_for_writing(path, 0, "full")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["pipe", "loop", ".", "x" * 300, "a\0b"])
def test_special_files_are_refused_unopened(root: Path, name: str) -> None:
    """A device would be changed by being opened, a pipe would be waited at."""
    with pytest.raises(StoreOpenError, match="cannot be the database"):
        refuse_special(root / name)


@pytest.mark.parametrize("bot_id", IDS, ids=ascii)
def test_an_id_that_names_no_bot(root: Path, bot_id: str) -> None:
    """No command leaves the folder for it, and nothing is deleted."""
    fleet = root / "fleet.toml"
    fleet.write_text("")
    for command in (("config", "show"), ("bot", "remove", "--yes"), ("bot", "info")):
        refused(*command, "-C", str(root), "--", bot_id)
    refused("bot", "add", "-C", str(root), "--token", "100001:" + "A" * 35, "--yes", "--", bot_id)
    assert fleet.exists()
    assert sorted(path.name for path in root.iterdir() if path.suffix == ".toml") == ["fleet.toml"]
