"""One bot's rows, whole: exported to a portable file, imported, removed.

The portable file is JSON lines: a header, one line per row, a footer with the count and a checksum.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from config.vocabulary import is_bot_id
from store import migrate
from store.errors import StoreError

FORMAT: Final = "botdeck-export"


def tables(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all tables; every one of them is keyed by bot_id."""
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
    return [str(name) for (name,) in rows]


@dataclass(frozen=True, slots=True)
class Exported:
    """A portable file as read and checked: table → (columns, rows without bot_id)."""

    bot_id: str
    columns: dict[str, list[str]]
    rows: dict[str, list[list[Any]]]


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})") if row[1] != "bot_id"]


def _lines(connection: sqlite3.Connection, bot_id: str) -> Iterator[dict[str, Any]]:
    names = {table: _columns(connection, table) for table in tables(connection)}
    yield {"format": FORMAT, "version": migrate.version_of(connection), "bot_id": bot_id, "columns": names}
    for table, columns in names.items():
        for row in connection.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE bot_id = ?", (bot_id,)):
            yield {"table": table, "row": row}


def export(database: Path, bot_id: str, target: Path, *, overwrite: bool = False) -> int:
    """Write one bot's rows to target (mode 0600); return how many. Blocks. Raises StoreError."""
    if target.exists() and not overwrite:
        raise StoreError(f"{target} exists already", "choose another name")
    partial = target.with_name(target.name + ".partial")
    digest, count = hashlib.sha256(), -1
    try:
        partial.touch(mode=0o600)
        with closing(sqlite3.connect(database)) as connection, partial.open("w", encoding="utf-8") as file:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            for line in _lines(connection, bot_id):
                text = json.dumps(line, ensure_ascii=True, separators=(",", ":")) + "\n"
                digest.update(text.encode())
                file.write(text)
                count += 1
            file.write(json.dumps({"rows": count, "sha256": digest.hexdigest()}) + "\n")
        partial.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot export {bot_id} to {target}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    return count


def read(source: Path, bot_id: str | None = None) -> Exported:
    """Read and check a portable file. Blocks. Raises StoreError when it is none, damaged, cut short or too new."""
    try:
        *body, footer = source.read_text(encoding="utf-8").splitlines(keepends=True)
        header, end = json.loads(body[0]), json.loads(footer)
        lines = [json.loads(line) for line in body[1:]]
    except OSError as error:
        raise StoreError(f"cannot read {source}: {error.strerror}") from error
    except (ValueError, IndexError) as error:
        raise StoreError(f"{source} is not an export of botdeck, or cut short") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise StoreError(f"{source} is not an export of botdeck")
    if end.get("sha256") != hashlib.sha256("".join(body).encode()).hexdigest():
        raise StoreError(f"{source} is damaged: its checksum does not fit")
    if header["version"] > migrate.newest():
        raise StoreError(f"{source} was written by a newer botdeck", "install the newer botdeck")
    name = bot_id or header["bot_id"]
    if not is_bot_id(name):
        raise StoreError(f"{name!r} is no bot_id")
    rows: dict[str, list[list[Any]]] = {table: [] for table in header["columns"]}
    for line in lines:
        rows[line["table"]].append(line["row"])
    return Exported(name, header["columns"], rows)


def insert(connection: sqlite3.Connection, exported: Exported) -> int:
    """Insert an export within a write job; return how many rows. Raises StoreError unless the partition is empty."""
    known = {table: set(_columns(connection, table)) for table in tables(connection)}
    if any(count_rows(connection, table, exported.bot_id) for table in known):
        raise StoreError(
            f"{exported.bot_id} has rows already", "remove the bot first, or import under another name with --as"
        )
    total = 0
    for table, rows in exported.rows.items():
        columns = exported.columns[table]
        if not set(columns) <= known.get(table, set()):
            raise StoreError(f"the export has columns of {table} this botdeck does not know")
        sql = f"INSERT INTO {table} (bot_id, {', '.join(columns)}) VALUES (?{', ?' * len(columns)})"
        connection.executemany(sql, ([exported.bot_id, *row] for row in rows))
        total += len(rows)
    return total


def count_rows(connection: sqlite3.Connection, table: str, bot_id: str) -> int:
    """Return how many rows of a table belong to a bot."""
    return int(connection.execute(f"SELECT count(*) FROM {table} WHERE bot_id = ?", (bot_id,)).fetchone()[0])


def remove(connection: sqlite3.Connection, bot_id: str) -> int:
    """Delete every row of a bot within a write job; return how many."""
    return sum(
        connection.execute(f"DELETE FROM {table} WHERE bot_id = ?", (bot_id,)).rowcount for table in tables(connection)
    )
