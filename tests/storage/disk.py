"""What would be on the device: every write since a file's last sync may be missing after a power cut.

A `Disk` watches one folder through `tests.storage.vfs` and the calls of `os` that make, rename and sync files. It can be
asked at any time (or later, for any moment) what a power cut would leave.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.storage import vfs

SECTOR: Final = 512

Change = tuple[str, int, bytes]
"""("write", offset, data) or ("cut", size, b"")."""
Keep = Callable[[list[Change]], list[Change]]
"""Which of the changes that were not synced reach the device, whole or in parts."""
Step = tuple[str, str, Any]
"""(what, path, more): write, cut, sync, lost, make, remove, rename, folder, or a note of the test."""


def nothing(pending: list[Change]) -> list[Change]:
    """Lose all that was not synced."""
    return []


def everything(pending: list[Change]) -> list[Change]:
    """Lose nothing, as when only the process is killed."""
    return pending


def some(chance: random.Random, *, torn: int = 0) -> Keep:
    """Keep each change or not; with torn each piece of so many bytes for itself."""

    def keep(pending: list[Change]) -> list[Change]:
        pieces = pending
        if torn:
            pieces = [
                (what, offset + at, data[at : at + torn]) if what == "write" else (what, offset, data)
                for what, offset, data in pending
                for at in range(0, max(1, len(data)), torn)
            ]
        return [piece for piece in pieces if chance.random() < 0.5]

    return keep


@dataclass(slots=True)
class _File:
    """One file: what is on the device, and what was handed to the system since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)

    def after(self, changes: list[Change]) -> bytes:
        content = bytearray(self.durable)
        for what, offset, data in changes:
            if what == "cut":
                del content[offset:]
                content.extend(b"\0" * (offset - len(content)))
            else:
                content.extend(b"\0" * (offset - len(content)))
                content[offset : offset + len(data)] = data
        return bytes(content)


class State:
    """The device at one moment of a history. Names are durable once their folder was synced."""

    def __init__(self, before: dict[str, bytes], folders: set[str]) -> None:
        self._files = {path: _File(bytearray(content)) for path, content in before.items()}
        self._durable = dict(self._files)
        self._folders = set(folders)
        self._made: list[str] = []
        self._names: list[Step] = []

    def take(self, step: Step) -> None:
        """Go one step on."""
        what, path, more = step
        if path not in self._files and what in {"write", "cut", "sync", "lost"}:
            return  # a file without a name: nobody finds it again
        if what in {"write", "cut"}:
            change = (what, more, b"") if what == "cut" else (what, *more)
            self._files[path].pending.append(change)
        elif what == "sync":
            file = self._files[path]
            file.durable[:] = more if more is not None else file.after(file.pending)
            file.pending.clear()
        elif what == "lost":
            self._files[path].pending.clear()
        elif what == "folder":
            self._sync_folder(path)
        elif what == "folder made":
            self._made.append(path)
        elif what in {"make", "remove", "rename"}:
            self._rename(step)

    def _rename(self, step: Step) -> None:
        what, path, target = step
        if what == "make":
            self._files[path] = _File()
            self._names.append((what, path, self._files[path]))
            return
        file = self._files.pop(path, None)
        if what == "rename" and file is not None:
            self._files[target] = file
        self._names.append((what, path, (target, file)))

    def _sync_folder(self, folder: str) -> None:
        waiting = self._names
        self._names = [n for n in waiting if os.path.dirname(n[1]) != folder]
        for name in waiting:
            if os.path.dirname(name[1]) == folder:
                self._apply(self._durable, name)
        self._folders |= {made for made in self._made if os.path.dirname(made) == folder}

    @staticmethod
    def _apply(names: dict[str, _File], step: Step) -> None:
        what, path, more = step
        if what == "make":
            names[path] = more
            return
        names.pop(path, None)
        if what == "rename" and more[1] is not None:
            names[more[0]] = more[1]

    def left(self, keep: Keep, *, names: Callable[[Step], bool] = lambda _: False) -> dict[str, bytes]:
        """Return path → content after a power cut now; names says which unsynced names reach the device."""
        found = dict(self._durable)
        for step in self._names:
            if names(step):
                self._apply(found, step)
        return {
            path: file.after(keep(file.pending))
            for path, file in found.items()
            if os.path.dirname(path) in self._folders or names(("folder made", path, None))
        }

    def on_device(self, path: str) -> bytes:
        """Return a file as it is read once memory forgot it: dirty pages are kept, those of a failed sync are not."""
        return self._files[path].after(self._files[path].pending)


@dataclass(slots=True)
class _Fault:
    what: str
    name: str
    code: int
    times: int | None
    after: int
    struck: int = 0


class Disk:
    """Watches the files below a folder; writes down a history and strikes the faults asked for."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.history: list[Step] = []
        self._before = {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        self._folders = {self.root, *(str(path) for path in root.rglob("*") if path.is_dir())}
        self._known = set(self._before)
        self._fresh: set[str] = set()
        self._faults: list[_Fault] = []
        self._lock = threading.RLock()

    # --- for tests ---------------------------------------------------------------------------------------------

    @contextmanager
    def watched(self) -> Iterator[Disk]:
        """Watch for the length of the block."""
        with ExitStack() as stack:
            stack.enter_context(vfs.installed(self))
            for name in ("fsync", "replace", "unlink", "mkdir", "posix_fadvise"):
                stack.callback(setattr, os, name, getattr(os, name))
                setattr(os, name, _between(getattr(os, name), getattr(self, f"_{name}")))
            yield self

    def note(self, what: str, more: Any = None) -> None:
        """Write a moment of the test into the history."""
        with self._lock:
            self.history.append((what, "", more))

    def strike(self, what: str, name: str, code: int, *, times: int | None = 1, after: int = 0) -> _Fault:
        """Refuse the next calls (times None: all) to files whose name ends so, letting `after` pass before."""
        fault = _Fault(what, name, code, times, after)
        self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """Refuse nothing any more."""
        self._faults.clear()

    def states(self) -> Iterator[tuple[Step, State]]:
        """Give the device right before each step of the history, and at its end."""
        state = State(self._before, self._folders)
        for step in [*self.history, ("end", "", None)]:
            yield step, state
            state.take(step)

    def now(self) -> State:
        """Return the device as it is."""
        with self._lock:
            *_, (_, state) = self.states()
        return state

    def forget_memory(self, path: Path) -> None:
        """Let the system drop its memory of a file: what a failed sync left behind is not read any more."""
        self._evict(str(path))

    # --- told by the files -------------------------------------------------------------------------------------

    def _ours(self, path: str) -> bool:
        return path.startswith(self.root + os.sep) and not path.endswith("-shm")

    def _say(self, what: str, path: str, more: Any = None) -> None:
        with self._lock:
            if self._ours(path) or path == self.root:
                self.history.append((what, path, more))

    def asked(self, what: str, path: str) -> int:
        """As Observer.asked."""
        with self._lock:
            for fault in self._faults:
                if fault.what == what and path.endswith(fault.name) and self._ours(path):
                    if fault.after:
                        fault.after -= 1
                    elif fault.times is None or fault.struck < fault.times:
                        fault.struck += 1
                        return fault.code
        return vfs.OK

    def opened(self, path: str, *, folder_follows: bool) -> None:
        """As Observer.opened."""
        if path not in self._known:
            self._known.add(path)
            self._say("make", path)
            if folder_follows:
                self._fresh.add(path)

    def wrote(self, path: str, offset: int, data: bytes) -> None:
        """As Observer.wrote."""
        self._say("write", path, (offset, data))

    def cut(self, path: str, size: int) -> None:
        """As Observer.cut."""
        self._say("cut", path, size)

    def synced(self, path: str) -> None:
        """As Observer.synced."""
        self._say("sync", path)
        if path in self._fresh:
            self._fresh.discard(path)
            self._say("folder", os.path.dirname(path))

    def sync_failed(self, path: str) -> None:
        """As Observer.sync_failed: the pages count as clean from now on, though they never reached the device."""
        self._say("lost", path)

    def deleted(self, path: str, *, folder_synced: bool) -> None:
        """As Observer.deleted."""
        self._known.discard(path)
        self._say("remove", path)
        if folder_synced:
            self._say("folder", os.path.dirname(path))

    # --- told by calls of os -----------------------------------------------------------------------------------

    def _fsync(self, descriptor: int) -> None:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
        if os.path.isdir(path):
            self._say("folder", path)
        elif self._ours(path):
            self.opened(path, folder_follows=False)
            self._say("sync", path, None if path.endswith((".db", "-wal")) else Path(path).read_bytes())

    def _replace(self, source: Any, target: Any) -> None:
        self.opened(str(source), folder_follows=False)
        self._known.discard(str(source))
        self._known.add(str(target))
        self._say("rename", str(source), str(target))

    def _unlink(self, path: Any, **_: Any) -> None:
        if str(path) in self._known:
            self.deleted(str(path), folder_synced=False)

    def _mkdir(self, path: Any, *_: Any) -> None:
        self._say("folder made", str(path))

    def _posix_fadvise(self, descriptor: int, offset: int, size: int, advice: int) -> None:
        if advice == os.POSIX_FADV_DONTNEED:
            self._evict(os.readlink(f"/proc/self/fd/{descriptor}"))

    def _evict(self, path: str) -> None:
        if path in self._known:
            with self._lock, open(path, "r+b") as file:
                content = self.now().on_device(path)
                file.write(content)
                file.truncate(len(content))


def _between(real: Callable[..., Any], tell: Callable[..., None]) -> Callable[..., Any]:
    """Return a call of os that tells of itself once it is done."""

    def call(*arguments: Any, **named: Any) -> Any:
        result = real(*arguments, **named)
        tell(*arguments, **named)
        return result

    return call


def restore(left: dict[str, bytes], root: str, target: Path) -> None:
    """Put files as a power cut left them into another folder."""
    for path, content in left.items():
        place = target / os.path.relpath(path, root)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
