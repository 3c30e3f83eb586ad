"""What may be taken for a database, found out before anything of it is touched: its name may be a slip of the pen."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from store.errors import StoreOpenError

MAGIC: Final = b"SQLite format 3\0"
"""The first bytes of every SQLite file."""


def refuse_special(path: Path) -> None:
    """Raise StoreOpenError when path is something else than a regular file or nothing yet. Opens nothing."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    except ValueError:
        raise _unsuitable(path, "its name holds a zero byte") from None
    except OSError as error:
        raise _unsuitable(path, error.strerror or "it cannot be looked at") from None
    if not stat.S_ISREG(mode):
        raise _unsuitable(path, "it is no regular file")


def is_ours_to_change(path: Path) -> bool:
    """Tell whether a file is empty or an SQLite file: another program's keeps its mode."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) in {b"", MAGIC}


def _unsuitable(path: Path, why: str) -> StoreOpenError:
    return StoreOpenError(f"{str(path)!r} cannot be the database: {why}", "check [fleet] database")
