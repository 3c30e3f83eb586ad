"""Numbered SQL migrations, each in one transaction with its record."""

from __future__ import annotations

import sqlite3
from functools import cache
from importlib import resources
from pathlib import Path

from config.vocabulary import FLEET
from store.errors import StoreOpenError


@cache
def migrations() -> dict[int, str]:
    """Return number → SQL of every migration this version of botdeck knows."""
    folder = resources.files("store.migrations")
    return {
        int(entry.name[:4]): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda e: e.name)
        if entry.name.endswith(".sql")
    }


def newest() -> int:
    """Return the number of the newest migration."""
    return max(migrations())


def version_of(connection: sqlite3.Connection) -> int:
    """Return the number of the last migration the file has seen; 0 for a new file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the file's version. Raises StoreOpenError when a newer botdeck wrote it."""
    version = version_of(connection)
    if version > newest():
        raise StoreOpenError(
            f"{path} was written by a newer botdeck (format {version}, this one knows {newest()})",
            "install the newer botdeck, or restore a copy made before the upgrade",
        )
    return version


def migrate(connection: sqlite3.Connection, now_ms: int, *, upto: int | None = None) -> list[int]:
    """Apply what is missing, in order; return the numbers applied. An interrupted one leaves no trace."""
    applied = []
    for number, sql in migrations().items():
        if number <= version_of(connection) or (upto is not None and number > upto):
            continue
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{sql}\n"
                f"INSERT INTO meta VALUES ('{FLEET}', 'migration:{number:04}', 'applied', {int(now_ms)});\n"
                f"PRAGMA user_version = {number};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        applied.append(number)
    return applied
