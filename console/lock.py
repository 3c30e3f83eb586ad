"""One process per database: flock on `<database>.lock`, taken before the database, the socket or any bot.

The kernel frees the lock when its holder dies, however it dies; the file itself stays, and what it says counts
only while it is locked.
"""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from console.errors import FleetOwned
from store.errors import StoreOpenError
from workers.clock import Clock

PATIENCE_S: Final = 0.3
"""How long an owner is given to go away: `owner_of` holds the lock for a moment to look at it."""
RETRY_S: Final = 0.02

SUFFIX: Final = ".lock"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns a fleet. start_id differs for every start; socket is where it can be reached."""

    pid: int
    start_id: str
    version: str
    socket: str
    started_at: float


def lock_path(database: Path) -> Path:
    """Return the lock file of a database."""
    return database.with_name(database.name + SUFFIX)


class Lock:
    """The lock on a fleet, held until `release`."""

    def __init__(self, path: Path, descriptor: int, owner: Owner) -> None:
        self.path = path
        self.owner = owner
        self._descriptor: int | None = descriptor

    @classmethod
    async def take(cls, database: Path, owner: Owner, clock: Clock) -> Self:
        """Take the lock and write down who holds it.

        Raises FleetOwned in less than a second, naming the holder; StoreOpenError when the file cannot be made.
        """
        path = lock_path(database)
        descriptor = _open(path)
        deadline = clock.monotonic() + PATIENCE_S
        while not _try(descriptor, fcntl.LOCK_EX):
            if clock.monotonic() >= deadline:
                holder = _read(descriptor)
                os.close(descriptor)
                raise owned(database, holder)
            await clock.sleep(RETRY_S)
        _write(descriptor, owner)
        return cls(path, descriptor, owner)

    def release(self) -> None:
        """Give the fleet back. Safe to call twice."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def owner_of(database: Path) -> Owner | None:
    """Return who owns the fleet of a database now; None when nobody does. Never waits, changes nothing."""
    try:
        descriptor = os.open(lock_path(database), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return None if _try(descriptor, fcntl.LOCK_SH) else _read(descriptor)
    finally:
        os.close(descriptor)


def owned(database: Path, owner: Owner) -> FleetOwned:
    """Return the sentence for a fleet that has an owner already."""
    who = f"pid {owner.pid}" if owner.pid else "another process"
    return FleetOwned(
        f"the fleet of {database} runs already ({who}, botdeck {owner.version or 'of unknown version'})",
        f"reach it with `botdeck status -C {database.parent}`; end it with `kill {owner.pid or '<pid>'}`",
    )


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreOpenError(
            f"cannot make the lock file {path}: {error.strerror}", "check [fleet] database and its folder"
        ) from error


def _try(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(descriptor: int, owner: Owner) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(owner)).encode() + b"\n", 0)


def _read(descriptor: int) -> Owner:
    try:
        return Owner(**json.loads(os.pread(descriptor, 65536, 0)))
    except (ValueError, TypeError):
        # The holder has the lock but not yet written its name, or is of another version.
        return Owner(0, "", "", "", 0.0)
