"""The database's files on disk: whether they are still the ones that were opened, and how long the log is."""

from __future__ import annotations

import os
from pathlib import Path

from store.errors import StoreUnavailable


class Files:
    """Knows the file and its log by device and number. Any thread may ask."""

    __slots__ = ("_known", "log_bytes")

    def __init__(self, path: Path) -> None:
        self.log_bytes = 0
        """Size of the log when it was last looked at; it never shrinks below its limit."""
        self._known = {name: _look(name)[:2] for name in (str(path), f"{path}-wal")}

    def again(self) -> None:
        """Take the files that have the names now for the ones that were opened."""
        self._known = {name: _look(name)[:2] for name in self._known}

    def check(self) -> None:
        """Raise StoreUnavailable when what is written goes into a file that has no name any more."""
        for name, known in self._known.items():
            device, number, self.log_bytes = _look(name)
            if (device, number) != known:
                raise StoreUnavailable(
                    f"{name} was deleted or replaced while the fleet runs",
                    "put the same file back, or stop the fleet and start it again",
                )


def _look(name: str) -> tuple[int, int, int]:
    """Return device, number and size of a file; zeros when there is none."""
    try:
        found = os.stat(name)  # noqa: PTH116 (called for every group: half the cost of Path.stat)
    except OSError:
        return (0, 0, 0)
    return (found.st_dev, found.st_ino, found.st_size)
