"""Finding a fleet's database and socket, cheaply and safely."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from config.errors import ConfigError
from console.errors import SocketUnusable
from console.lock import Lock, Owner
from console.place import find, make_private, socket_path
from workers.clock import SystemClock


def test_an_empty_folder_is_a_fleet_with_defaults(tmp_path: Path) -> None:
    """No fleet.toml: the database stands in the folder, the folder's name is the fleet's."""
    place = find(tmp_path)
    assert place.database == tmp_path / "botdeck.db"
    assert place.name == tmp_path.name


def test_what_fleet_toml_says_counts(tmp_path: Path) -> None:
    """Database and name come from [fleet], relative paths from the fleet's folder."""
    (tmp_path / "fleet.toml").write_text('[fleet]\nname = "Ours"\ndatabase = "state/x.db"\n')
    place = find(tmp_path)
    assert (place.name, place.database) == ("Ours", tmp_path / "state" / "x.db")


def test_references_are_resolved_as_a_fleet_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database named by a variable is found as the running fleet finds it."""
    (tmp_path / "fleet.toml").write_text('[fleet]\ndatabase = "${STATE_FILE:-other.db}"\n')
    assert find(tmp_path).database == tmp_path / "other.db"
    monkeypatch.setenv("STATE_FILE", "third.db")
    assert find(tmp_path).database == tmp_path / "third.db"


def test_a_bad_fleet_toml_is_a_configuration_error(tmp_path: Path) -> None:
    """What cannot be read is reported with file and line, exit code 2."""
    (tmp_path / "fleet.toml").write_text("[fleet\n")
    with pytest.raises(ConfigError, match=r"fleet\.toml:1") as refused:
        find(tmp_path)
    assert refused.value.exit_code == 2


@pytest.mark.anyio
async def test_a_bad_edit_of_fleet_toml_locks_nobody_out_of_a_running_fleet(tmp_path: Path) -> None:
    """While somebody owns a database of the folder, the fleet is found without fleet.toml; afterwards it is not."""
    owner = Owner(1, "start", "0.1.0", "", 0.0)
    lock = await Lock.take(tmp_path / "state.db", owner, SystemClock())
    (tmp_path / "fleet.toml").write_text("[fleet\n")
    assert find(tmp_path).database == tmp_path / "state.db"
    lock.release()
    with pytest.raises(ConfigError):
        find(tmp_path)


def test_no_folder_is_a_configuration_error(tmp_path: Path) -> None:
    """A folder that is not there is named."""
    with pytest.raises(ConfigError, match="is not a folder"):
        find(tmp_path / "nowhere")


def test_the_socket_lies_below_the_runtime_folder(tmp_path: Path) -> None:
    """$XDG_RUNTIME_DIR holds the socket under a short hash of the database, the same one every time."""
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    path = socket_path(tmp_path / "a.db", environ)
    assert path == socket_path(tmp_path / "a.db", environ)
    assert path != socket_path(tmp_path / "b.db", environ)
    assert path.parent.parent == tmp_path / "botdeck"
    assert (len(path.parent.name), path.name) == (12, "ctl.sock")


def test_without_a_runtime_folder_the_socket_lies_beside_the_database(tmp_path: Path) -> None:
    """Unset, relative or missing: the socket stays with the database, never in a shared folder."""
    for runtime in ("", "relative", str(tmp_path / "missing")):
        path = socket_path(tmp_path / "a.db", {"XDG_RUNTIME_DIR": runtime})
        assert path.parent == tmp_path / ".botdeck"


def test_a_path_too_long_for_a_socket_falls_back_or_says_so(tmp_path: Path) -> None:
    """107 bytes is what a socket's path may have; a long runtime folder is passed over, a long database refused."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    assert socket_path(tmp_path / "a.db", {"XDG_RUNTIME_DIR": str(long)}).parent == tmp_path / ".botdeck"
    with pytest.raises(SocketUnusable, match="107 bytes") as refused:
        socket_path(long / "a.db", {})
    assert "XDG_RUNTIME_DIR" in refused.value.hint


def test_the_socket_folder_is_private(tmp_path: Path) -> None:
    """The folder is made 0700, an open one is closed, a link is refused."""
    folder = tmp_path / "a" / "b"
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(SocketUnusable, match="is a link"):
        make_private(link)


def test_finding_a_plain_fleet_loads_no_schema(tmp_path: Path) -> None:
    """A plain fleet.toml is read by itself: status answers before pydantic is imported."""
    import subprocess

    (tmp_path / "fleet.toml").write_text('[fleet]\nname = "x"\n')
    code = (
        "import sys; from pathlib import Path; from console.place import find; find(Path(sys.argv[1]));"
        "print('pydantic' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
