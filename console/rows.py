"""Rows of the store as the lines a Control answers with."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from config.errors import Problem
from console.control import EventLine, EventQuery, LogLine, LogQuery
from console.errors import BadRequest
from store.events import Event
from store.journal import EventRow
from store.logs import LogRow
from workers.encoding import as_text, decoded

if TYPE_CHECKING:
    from config.change import BotChange
    from workers.logbook import Line

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


def level_word(level: int) -> str:
    """Return the word of a level, the next lower one for levels in between."""
    return next((word for word, number in reversed(LEVELS.items()) if level >= number), "debug")


def log_line(row: LogRow) -> LogLine:
    """Return a stored log line as a Control answers it."""
    return {
        "bot_id": row.bot_id,
        "at": row.at_ms / 1000,
        "level": level_word(row.level),
        "logger": row.logger,
        "text": row.text,
        "exception": row.exception,
    }


def written(line: Line) -> LogLine:
    """Return a line of the logbook exactly as the store will give it later."""
    return {
        "bot_id": line.bot_id,
        "at": int(line.at * 1000) / 1000,
        "level": level_word(line.level),
        "logger": line.logger,
        "text": line.text,
        "exception": line.exception,
    }


def event_line(row: EventRow) -> EventLine:
    """Return a journaled event as a Control answers it."""
    return {
        "bot_id": row.bot_id,
        "at": row.at_ms / 1000,
        "kind": row.kind,
        "data": _said(row.data),
        "actor": row.actor,
    }


def line_of(event: Event) -> EventLine:
    """Return an event of the bus exactly as the journal will give it later."""
    data = _said(as_text(event.data()))
    at = int(event.at * 1000) / 1000
    return {"bot_id": event.bot_id, "at": at, "kind": event.kind, "data": data, "actor": str(data.get("actor", ""))}


@lru_cache(256)
def _said(data: str) -> dict[str, Any]:
    """Return what an event says. A fleet of bots that all started says one thing a thousand times: it is held once."""
    found: dict[str, Any] = decoded(data)
    return found


def log_matcher(query: LogQuery) -> Callable[[LogLine], bool]:
    """Return the test of a query's level and pattern. Raises BadRequest for a bad pattern."""
    try:
        pattern = re.compile(query.pattern)
    except re.error as error:
        raise BadRequest(f"{query.pattern!r} is no regular expression: {error}") from None

    def matches(line: LogLine) -> bool:
        if LEVELS[line["level"]] < query.min_level or line["at"] < query.since:
            return False
        return not query.pattern or bool(pattern.search(line["text"]) or pattern.search(line["exception"]))

    return matches


def event_matcher(query: EventQuery) -> Callable[[EventLine], bool]:
    """Return the test of a query's kinds and moment."""
    return lambda line: (not query.kinds or line["kind"] in query.kinds) and line["at"] >= query.since


def phase_counts(phases: Iterable[str]) -> dict[str, int]:
    """Return phase → bots, phases nobody is in left out."""
    return dict(sorted(Counter(map(str, phases)).items()))


def change_row(change: BotChange) -> dict[str, Any]:
    """Return what a reload did to one bot, JSON-ready."""
    effect = str(change.effect) if change.effect else None
    return {"bot_id": change.bot_id, "kind": change.kind, "effect": effect, "keys": list(change.keys)}


def change_words(change: dict[str, Any]) -> str:
    """Return a change row as a person reads it: changed (llm.model: next turn)."""
    keys, effect = ", ".join(change["keys"]), (change["effect"] or "").replace("_", " ")
    more = ": ".join(filter(None, (keys, effect)))
    return f"{change['kind']} ({more})" if more else str(change["kind"])


def problem_words(problem: dict[str, Any]) -> str:
    """Return a problem row as a person reads it: file:line:column: key: message (hint)."""
    return str(Problem(**problem | {"file": Path(problem["file"])}))


def problem_row(problem: Problem) -> dict[str, Any]:
    """Return a located problem, JSON-ready."""
    return asdict(problem) | {"file": str(problem.file)}
