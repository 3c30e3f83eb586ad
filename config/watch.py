"""Noticing that files of the fleet changed.

Events of the operating system tell about what is in bots/ and environments/, and about fleet.toml and .env
themselves. The fleet's folder is not watched: its database is written thousands of times a second. A cheap look a
few times a second tells when one of the four was made, deleted or replaced, which ends the events about it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Final

import anyio

from config.files import BOTS_DIR, DOTENV_FILE, ENVIRONMENTS_DIR, FLEET_FILE, is_toml_name

DEBOUNCE_MS: Final = 50
STEP_MS: Final = 20
PULSE_MS: Final = 500
"""How often it is looked whether the watched files and folders are still the same ones."""

SINGLES: Final = (FLEET_FILE, DOTENV_FILE)
FOLDERS: Final = (BOTS_DIR, ENVIRONMENTS_DIR)

Identity = tuple[int, int]
"""Device and inode: the same name may become another file or folder."""


async def watch(root: Path, stop: anyio.Event | None = None) -> AsyncIterator[frozenset[Path]]:
    """Yield the paths that changed, until stop is set.

    They are absolute: bot files, environments, fleet.toml, .env; a folder among them stands for all in it. The
    first set, given as soon as the watch stands, is the root itself, so that whatever changed before is seen by
    looking at everything once; so it is whenever the watch had to be set up again. Files come as they are saved,
    a slow writer's half file too. Editors' droppings and other files are never named. Cancelling is safe; it
    sets stop.
    """
    root = _absolute(root)
    stop = stop or anyio.Event()
    while not stop.is_set():
        before = _identities(root)
        standing = False
        async for events in _events(root, before, stop):
            lost = _lost(root, before, events)
            news = {*_ours(root, (path for _, path in events)), *lost, *(() if standing else (root,))}
            standing = True
            if news:
                yield frozenset(news)
            if lost:
                break


async def _events(
    root: Path, there: Mapping[Path, Identity | None], stop: anyio.Event
) -> AsyncIterator[set[tuple[bool, Path]]]:
    """Yield what the operating system reports (deleted?, path), and an empty set at every pulse."""
    from watchfiles import Change, awatch  # on use: only a running fleet watches

    paths = [path for path, identity in there.items() if identity] or [root]
    async for events in awatch(
        *paths,
        watch_filter=None,
        debounce=DEBOUNCE_MS,
        step=STEP_MS,
        stop_event=stop,
        rust_timeout=PULSE_MS,
        yield_on_timeout=True,
        recursive=False,
        ignore_permission_denied=True,
    ):
        yield {(change is Change.deleted, Path(path)) for change, path in events}


def _lost(root: Path, before: Mapping[Path, Identity | None], events: set[tuple[bool, Path]]) -> set[Path]:
    """Return what is no longer what was watched: events about it have ended, or never began.

    A folder deleted and made again may get its old inode: its deletion is an event of its own.
    """
    after = _identities(root)
    deleted = {path for gone, path in events if gone}
    return {path for path, identity in after.items() if before[path] != identity or path in deleted}


def _ours(root: Path, paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        folder, name = path.parent, path.name
        if folder == root:
            if name in SINGLES:
                yield path
        elif folder.name in FOLDERS and folder.parent == root:
            if is_toml_name(name):
                yield path
            elif name == "..data":
                # A mounted Kubernetes volume swaps this link, and with it every file behind it.
                yield folder


def _identities(root: Path) -> dict[Path, Identity | None]:
    return {root / name: _identity(root / name) for name in (*FOLDERS, *SINGLES)}


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _absolute(path: Path) -> Path:
    return Path(path).absolute()
