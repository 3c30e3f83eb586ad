"""A layer between SQLite and the system, put in by ctypes: sees every write, sync and removal, and may refuse it.

The unix VFS does the work; its table of methods is copied with a few entries replaced. Locks and shared memory pass
by untouched. Linux, and an interpreter whose sqlite3 uses a shared library: `missing` says why not elsewhere.
"""

from __future__ import annotations

import _sqlite3
import ctypes as c
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

OK: Final = 0
DIRECTORY_SYNCED_BY: Final = 0x00080000 | 0x00000800
"""SQLITE_OPEN_WAL and SQLITE_OPEN_MAIN_JOURNAL: the unix VFS syncs their folder with their first sync."""

_P, _I, _L, _S = c.c_void_p, c.c_int, c.c_int64, c.c_char_p
_METHODS: Final[dict[str, tuple[Any, ...]]] = {
    "xClose": (_P,),
    "xRead": (_P, _P, _I, _L),
    "xWrite": (_P, _P, _I, _L),
    "xTruncate": (_P, _L),
    "xSync": (_P, _I),
}
_UNTOUCHED: Final = (
    "xFileSize", "xLock", "xUnlock", "xCheckReservedLock", "xFileControl", "xSectorSize", "xDeviceCharacteristics",
    "xShmMap", "xShmLock", "xShmBarrier", "xShmUnmap", "xFetch", "xUnfetch",
)  # fmt: skip


class _Io(c.Structure):
    _fields_ = (("iVersion", _I), *((name, _P) for name in (*_METHODS, *_UNTOUCHED)))


class _File(c.Structure):
    _fields_ = (("pMethods", c.POINTER(_Io)),)


class _Vfs(c.Structure):
    _fields_ = (
        ("iVersion", _I), ("szOsFile", _I), ("mxPathname", _I), ("pNext", _P), ("zName", _S), ("pAppData", _P),
        ("xOpen", _P), ("xDelete", _P), ("others", _P * 13),
    )  # fmt: skip


_OPEN: Final = c.CFUNCTYPE(_I, _P, _P, _P, _I, c.POINTER(_I))
_DELETE: Final = c.CFUNCTYPE(_I, _P, _S, _I)
_KEPT: Final[list[Any]] = []
"""Tables and callbacks that connections may still point to: they live as long as the process."""


class Observer(Protocol):
    """What is told of the files. `asked` may return a result code of SQLite instead of OK: then nothing is done."""

    def asked(self, what: str, path: str) -> int:
        """Say whether read, write, truncate, sync, delete or open may go on."""
        ...

    def opened(self, path: str, *, folder_follows: bool) -> None:
        """A file was opened; its folder is synced with its first sync when folder_follows."""
        ...

    def wrote(self, path: str, offset: int, data: bytes) -> None:
        """Bytes were handed to the system."""
        ...

    def cut(self, path: str, size: int) -> None:
        """A file was truncated."""
        ...

    def synced(self, path: str) -> None:
        """A file is on the device."""
        ...

    def sync_failed(self, path: str) -> None:
        """A sync was refused: what was not on the device may never get there, and no later sync will say so."""
        ...

    def deleted(self, path: str, *, folder_synced: bool) -> None:
        """A name is gone."""
        ...


def library() -> Any:
    """Return the SQLite library of this interpreter; None when it is not a shared one."""
    assert _sqlite3.sqlite_version
    with open("/proc/self/maps", encoding="utf-8") as maps:
        paths = {line.split()[-1] for line in maps if "libsqlite3" in line}
    return c.CDLL(paths.pop()) if len(paths) == 1 else None


def missing() -> str:
    """Return why the layer cannot be put in here; "" when it can."""
    if not os.path.exists("/proc/self/maps"):
        return "needs Linux"
    return "" if library() is not None else "needs an interpreter whose sqlite3 uses the shared library"


@contextmanager
def installed(observer: Observer) -> Iterator[None]:
    """Lead every connection opened from here on through the layer, in this process."""
    layer = _Layer(library(), observer)
    layer.register()
    try:
        yield
    finally:
        layer.unregister()


class _Layer:
    def __init__(self, library: Any, observer: Observer) -> None:
        self._library = library
        library.sqlite3_vfs_find.restype = c.POINTER(_Vfs)
        self._real = library.sqlite3_vfs_find(None)
        self._observer = observer
        self._paths: dict[int, str] = {}
        self._tables: dict[int, _Io] = {}
        self._real_open = _OPEN(self._real.contents.xOpen)
        self._real_delete = _DELETE(self._real.contents.xDelete)
        self._vfs = _Vfs.from_buffer_copy(self._real.contents)
        self._callbacks = (_OPEN(self._open), _DELETE(self._delete))
        self._vfs.zName = b"watched"
        self._vfs.xOpen, self._vfs.xDelete = (c.cast(f, _P).value for f in self._callbacks)
        _KEPT.append(self)

    def register(self) -> None:
        self._library.sqlite3_vfs_register(c.byref(self._vfs), 1)

    def unregister(self) -> None:
        self._library.sqlite3_vfs_unregister(c.byref(self._vfs))

    def _open(self, _: int, name: int | None, file: int, flags: int, out: Any) -> int:
        # The pointer itself goes on: SQLite keeps parameters behind the name, and the unix VFS keeps the pointer.
        path = os.fsdecode(c.string_at(name)) if name else ""
        if path and (code := self._observer.asked("open", path)):
            _File.from_address(file).pMethods = None
            return code
        code = self._real_open(c.addressof(self._real.contents), name, file, flags, out)
        if path and code == OK:
            self._paths[file] = path
            self._observer.opened(path, folder_follows=bool(flags & DIRECTORY_SYNCED_BY))
            opened = _File.from_address(file)
            opened.pMethods = c.pointer(self._table(opened.pMethods))
        return code

    def _delete(self, _: int, name: bytes, sync: int) -> int:
        path = os.fsdecode(name)
        code = self._observer.asked("delete", path) or self._real_delete(c.addressof(self._real.contents), name, sync)
        if code == OK:
            self._observer.deleted(path, folder_synced=bool(sync))
        return code

    def _table(self, real: Any) -> _Io:
        """Return the table of methods that stands in for a real one; made once for each."""
        address = c.addressof(real.contents)
        if address not in self._tables:
            table = _Io.from_buffer_copy(real.contents)
            for name, arguments in _METHODS.items():
                kind = c.CFUNCTYPE(_I, *arguments)
                callback = kind(self._between(name, kind(getattr(real.contents, name))))
                _KEPT.append(callback)
                setattr(table, name, c.cast(callback, _P).value)
            self._tables[address] = table
        return self._tables[address]

    def _between(self, name: str, real: Callable[..., int]) -> Callable[..., int]:
        observer, paths = self._observer, self._paths

        def close(file: int) -> int:
            paths.pop(file, None)
            return real(file)

        def read(file: int, to: int, size: int, offset: int) -> int:
            code = observer.asked("read", paths[file])
            if code == SHORT_READ:
                c.memset(to, 0, size)
            return code or real(file, to, size, offset)

        def write(file: int, data: int, size: int, offset: int) -> int:
            code = observer.asked("write", paths[file]) or real(file, data, size, offset)
            if code == OK:
                observer.wrote(paths[file], offset, c.string_at(data, size))
            return code

        def truncate(file: int, size: int) -> int:
            code = observer.asked("truncate", paths[file]) or real(file, size)
            if code == OK:
                observer.cut(paths[file], size)
            return code

        def sync(file: int, flags: int) -> int:
            code = observer.asked("sync", paths[file])
            (observer.sync_failed if code else observer.synced)(paths[file])
            return code  # what is "on the device" is known to the observer: the real one need not turn

        return {"xClose": close, "xRead": read, "xWrite": write, "xTruncate": truncate, "xSync": sync}[name]


IO_READ: Final = 10 | 1 << 8
SHORT_READ: Final = 10 | 2 << 8
IO_WRITE: Final = 10 | 3 << 8
"""What the unix VFS makes of EIO, EROFS, EFBIG and every other refusal of write() but ENOSPC."""
IO_SYNC: Final = 10 | 4 << 8
IO_TRUNCATE: Final = 10 | 6 << 8
FULL: Final = 13
READ_ONLY: Final = 8
CANNOT_OPEN: Final = 14
