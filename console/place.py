"""Where a fleet is: its database and its control socket, found without loading its whole configuration."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config.errors import ConfigError, ConfigInvalid
from config.files import Unreadable, is_folder, parse, read_text
from console.errors import SocketUnusable
from store.suitable import refuse_special

SOCKET_PATH_BYTES: Final = 107
"""What Linux takes as the path of a unix socket, the closing zero left out."""


@dataclass(frozen=True, slots=True)
class Place:
    """The folder and the database (absolute) of a fleet, and what its operator calls it."""

    root: Path
    database: Path
    name: str


def find(root: Path, environment: str | None = None) -> Place:
    """Return the place of the fleet in a folder. Raises ConfigError when there is none or fleet.toml is bad.

    A plain fleet.toml is read by itself; only one that uses references costs a whole load.
    """
    if not is_folder(root):
        raise ConfigError(f"{root} is not a folder", "name a fleet's folder with -C, or make one with `botdeck init`")
    section = _fleet_section(root / "fleet.toml")
    if section is None:
        place = _loaded(root, environment)
    else:
        database = root / section.get("database", "botdeck.db")
        place = Place(root, database.absolute(), section.get("name") or root.absolute().name)
    refuse_special(place.database)
    return place


def _fleet_section(path: Path) -> dict[str, str] | None:
    """Return `[fleet]` when it can be taken as it stands; None when the loader has to look at it."""
    try:
        data: Any = parse(read_text(path)[0])
    except Unreadable:
        return None if os.path.lexists(path) else {}
    section = data.get("fleet", {})
    if not isinstance(section, dict):
        return None
    values = {key: section[key] for key in ("database", "name") if key in section}
    plain = all(isinstance(value, str) and "$" not in value and value.isprintable() for value in values.values())
    return values if plain and "$resource" not in section and values.get("database", "x") else None


def _loaded(root: Path, environment: str | None) -> Place:
    from config.load import Loader

    snapshot = Loader(root, environment=environment).load()
    if snapshot.fleet_problems:
        running = _running(root)
        if running is None:
            raise ConfigInvalid(snapshot.fleet_problems)
        return running
    return Place(root, snapshot.database, snapshot.name)


def _running(root: Path) -> Place | None:
    """Return the place of a fleet that runs on a database in the folder: a bad edit must not lock its operator out."""
    from console.lock import SUFFIX, owner_of

    for lock in sorted(root.absolute().glob(f"*{SUFFIX}")):
        database = lock.with_name(lock.name.removesuffix(SUFFIX))
        if owner_of(database) is not None:
            return Place(root, database, root.absolute().name)
    return None


def socket_path(database: Path, environ: Mapping[str, str] | None = None) -> Path:
    """Return where the control socket of a fleet belongs: below $XDG_RUNTIME_DIR, else beside the database.

    Raises SocketUnusable when neither path is short enough for a socket.
    """
    runtime = (os.environ if environ is None else environ).get("XDG_RUNTIME_DIR", "")
    digest = hashlib.sha256(os.fsencode(database.resolve())).hexdigest()[:12]
    beside = database.parent / ".botdeck" / f"{digest}.sock"
    places = [beside]
    if runtime.startswith("/") and Path(runtime).is_dir():
        places.insert(0, Path(runtime) / "botdeck" / digest / "ctl.sock")
    for place in places:
        if len(os.fsencode(place)) <= SOCKET_PATH_BYTES:
            return place
    raise SocketUnusable(
        f"{beside} is too long for a control socket ({SOCKET_PATH_BYTES} bytes at most)",
        "set XDG_RUNTIME_DIR to a short path, or move the database with [fleet] database",
    )


def make_private(folder: Path) -> None:
    """Make a folder only its owner can enter, or check that an existing one is. Raises SocketUnusable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise SocketUnusable(f"{folder} is a link, or belongs to somebody else", "remove it; botdeck makes it anew")
        if found.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise SocketUnusable(f"cannot make the folder {folder}: {error.strerror}") from error
