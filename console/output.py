"""What commands print: data on stdout, talk on stderr, and no escape code where no terminal wants it."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

import click


def wants_colour() -> bool:
    """Tell whether stdout is a terminal that understands colours and its owner wants them (NO_COLOR)."""
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not os.environ.get("NO_COLOR")


def style(text: str, **how: Any) -> str:
    """Colour a text where that is wanted; the arguments are click.style's."""
    return click.style(text, **how) if wants_colour() else text


def visible(text: str) -> str:
    """Return text with every control, bidi and surrogate character made visible, fit for a terminal.

    Names and messages come from strangers: an escape sequence in one must not reach the operator's terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def say(text: str, *, err: bool = False) -> None:
    """Print one line for people, whatever stands in it: what could steer a terminal or pass for a line is made visible."""
    click.echo(visible(text), err=err)


def say_lines(text: str, *, err: bool = False) -> None:
    """Print several lines for people, as `say` prints one."""
    click.echo("\n".join(map(visible, text.split("\n"))), err=err)


def forgive(streams: Iterable[TextIO]) -> None:
    """Let streams write an escape in the place of a character they cannot encode (a terminal that is not UTF-8)."""
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(_json(value, indent=2))


def print_json_line(value: Any) -> None:
    """Print one JSON document on one line (streams)."""
    click.echo(_json(value, separators=(",", ":")))


def _json(value: Any, **how: Any) -> str:
    """Return value as JSON that is as safe on a terminal as `visible` text, and can be written to any stdout."""
    unicode = (getattr(sys.stdout, "encoding", "") or "").lower().replace("-", "") == "utf8"
    text = json.dumps(value, ensure_ascii=not unicode, **how)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Iterable[int] = ()) -> str:
    """Return rows aligned in columns two blanks apart; columns named in `right` are aligned to the right."""
    cells = [[visible(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    flush_right = set(right)

    def line(row: Sequence[str]) -> str:
        parts = [
            c.rjust(w) if i in flush_right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    return "\n".join([line(header), *map(line, cells)])


def fit(text: str) -> str:
    """Return a table with every line cut to the terminal's width; whole where stdout is no terminal."""
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(line if len(line) <= width else line[: width - 1] + "…" for line in text.split("\n"))


def ago(seconds: float | None) -> str:
    """Return a duration as a person reads it: 5s, 3m, 2h, 4d; - for None."""
    if seconds is None:
        return "-"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return f"{max(0, int(seconds))}s"


def clock_time(at: float) -> str:
    """Return a moment in local time as people read it in a log."""
    return datetime.fromtimestamp(at, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
