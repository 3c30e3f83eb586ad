"""Where the lines of a log pane come from: the log or the events of some bots, narrowed by a filter."""

from __future__ import annotations

import fnmatch
import logging
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from config.vocabulary import FLEET
from console.control import EventQuery, LogQuery
from console.errors import BadRequest
from console.tui import told, words
from console.tui.widgets.ring import Line

if TYPE_CHECKING:
    from console.control import Control, EventLine, LogLine

TAIL: Final = 500
"""Lines read from the store at once."""
LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_AGO: Final = re.compile(r"-?(\d+)([smhd])")
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d))?")


@dataclass(frozen=True, slots=True)
class Narrow:
    """What a filter asks for: bots (globs), the lowest level, moments, a regular expression, kinds of events, who."""

    bots: tuple[str, ...] = ()
    level: str = "debug"
    since: float = 0.0
    until: float = 0.0
    pattern: str = ""
    kinds: tuple[str, ...] = ()
    by: str = ""
    without: tuple[str, ...] = ()
    """What leaves a line out: regular expressions, bot:GLOB, kind:GLOB."""


def narrow(text: str, now: float) -> Narrow:
    """Return what a filter as typed asks for: `level:warning bot:shop-* since:10m until:14:05 kind:Bot* by:anna regex`.

    `!` before a word turns it round: `!regex`, `!bot:shop-*`, `!kind:Bot*`. Raises BadRequest where a word cannot be
    understood.
    """
    asked, rest = Narrow(), []
    for word in text.split():
        if word.startswith("!") and len(word) > 1:
            asked = replace(asked, without=(*asked.without, _unwanted(word[1:])))
            continue
        name, colon, value = word.partition(":")
        if not colon or name not in _WORDS or not value:
            rest.append(word)
            continue
        asked = _WORDS[name](asked, value, now)
    return replace(asked, pattern=_pattern(" ".join(rest)))


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise BadRequest(f"{text!r} is no regular expression: {error}") from None
    return text


def _unwanted(word: str) -> str:
    """Return a word that leaves lines out. Raises BadRequest for one that cannot."""
    name, colon, value = word.partition(":")
    if not (colon and name in _WORDS and value):
        return _pattern(word)
    if name not in {"bot", "kind"}:
        raise BadRequest(f"!{name}: cannot be turned round; !bot:, !kind: and !text can")
    return word


def passes(asked: Narrow) -> Callable[[Line], bool]:
    """Return the test of what a filter leaves out."""
    tests = [_leaves_out(word) for word in asked.without]
    return lambda line: not any(test(line) for test in tests)


def _leaves_out(word: str) -> Callable[[Line], bool]:
    name, colon, value = word.partition(":")
    if colon and name in {"bot", "kind"}:
        match = re.compile("|".join(fnmatch.translate(glob) for glob in value.split(",")), re.IGNORECASE).match
        return lambda line: match(line.tag if name == "bot" else line.note) is not None
    found = re.compile(word, re.IGNORECASE).search
    return lambda line: bool(found(line.text) or found(line.more))


def _level(asked: Narrow, value: str, _now: float) -> Narrow:
    found = next((level for level in LEVELS if level.startswith(value.lower())), None)
    if found is None:
        raise BadRequest(f"{value} is no level: {', '.join(LEVELS)}")
    return replace(asked, level=found)


_WORDS: Final[dict[str, Callable[[Narrow, str, float], Narrow]]] = {
    "level": _level,
    "bot": lambda asked, value, _now: replace(asked, bots=(*asked.bots, *value.split(","))),
    "since": lambda asked, value, now: replace(asked, since=moment(value, now)),
    "until": lambda asked, value, now: replace(asked, until=moment(value, now)),
    "kind": lambda asked, value, _now: replace(asked, kinds=(*asked.kinds, *value.split(","))),
    "by": lambda asked, value, _now: replace(asked, by=value.lower()),
}


def moment(text: str, now: float) -> float:
    """Return the Unix time of "10m" (ago), "14:05" (the last time it was so late here) or an ISO date and time.

    Raises BadRequest.
    """
    gone = _AGO.fullmatch(text)
    if gone:
        return now - int(gone[1]) * _UNITS[gone[2]]
    local = datetime.fromtimestamp(now, tz=UTC).astimezone()
    try:
        late = _CLOCK.fullmatch(text)
        if late is None:
            return datetime.fromisoformat(text).astimezone().timestamp()
        hour, minute, second = (int(part or 0) for part in late.groups())
        then = local.replace(hour=hour, minute=minute, second=second, microsecond=0)
    except ValueError:
        raise BadRequest(f"{text} is no moment: 10m, 14:05 or 2026-01-31T14:05") from None
    return (then if then <= local else then - timedelta(days=1)).timestamp()


class LineSource(Protocol):
    """Lines for a pane."""

    kind: str
    """What the lines are, in a word: also the name under which typed filters are remembered."""
    note_from: int
    """From this width of a pane on there is room for the notes of lines."""
    tagged: bool
    """Whether lines of several bots come, so that each is to be named."""

    def follow(self, asked: Narrow) -> AsyncIterator[Line]:
        """Yield the last lines there are, then every further one, until cancelled. Raises FleetErrors."""
        ...

    async def older(self, asked: Narrow, before: float) -> list[Line]:
        """Return the last lines before a moment, oldest first; none when there are no more. Raises FleetErrors."""
        ...


class LogSource:
    """The log of some bots; of the whole fleet when none is named."""

    kind = "log"
    note_from = 160

    def __init__(self, control: Control, bots: tuple[str, ...] = ()) -> None:
        self._control = control
        self._bots = bots
        self.tagged = len(bots) != 1

    async def follow(self, asked: Narrow) -> AsyncIterator[Line]:
        """As LineSource.follow."""
        if asked.until:
            for line in await self.older(asked, asked.until):
                yield line
            return
        wanted = passes(asked)
        async with aclosing(cast("Any", self._control.follow_logs(self._query(asked)))) as lines:
            async for row in lines:
                line = log_line(row)
                if wanted(line):
                    yield line

    async def older(self, asked: Narrow, before: float) -> list[Line]:
        """As LineSource.older."""
        wanted = passes(asked)
        found: list[Line] = []
        while not found:
            page = await self._control.logs(replace(self._query(asked), before=before))
            if not page or page[0]["at"] >= before:
                break
            found, before = [line for line in map(log_line, page) if wanted(line)], page[0]["at"]
        return found

    def _query(self, asked: Narrow) -> LogQuery:
        return LogQuery(
            bots=both(self._bots, asked.bots),
            tail=TAIL,
            since=asked.since,
            min_level=LEVELS[asked.level] if asked.level != "debug" else 0,
            pattern=any_case(asked.pattern),
        )


def any_case(pattern: str) -> str:
    """Return an expression that finds either case, as every filter of the console does; one with flags keeps its own."""
    return f"(?i:{pattern})" if pattern and not pattern.startswith("(?") else pattern


class EventSource:
    """The events of some bots; of the whole fleet when none is named. Those of every message come when asked for."""

    kind = "events"
    note_from = 110

    def __init__(self, control: Control, bots: tuple[str, ...] = ()) -> None:
        self._control = control
        self._bots = bots
        self.tagged = len(bots) != 1

    async def follow(self, asked: Narrow) -> AsyncIterator[Line]:
        """As LineSource.follow."""
        if asked.until:
            for line in await self.older(asked, asked.until):
                yield line
            return
        wanted, kept = _wanted(asked), passes(asked)
        async with aclosing(cast("Any", self._control.follow_events(self._query(asked)))) as events:
            async for event in events:
                line = event_line(event)
                if wanted(event) and kept(line):
                    yield line

    async def older(self, asked: Narrow, before: float) -> list[Line]:
        """As LineSource.older."""
        wanted, kept = _wanted(asked), passes(asked)
        found: list[Line] = []
        while not found:
            page = await self._control.events(replace(self._query(asked), before=before))
            if not page or page[0]["at"] >= before:
                break
            found = [line for event in page if wanted(event) and kept(line := event_line(event))]
            before = page[0]["at"]
        return found

    def _query(self, asked: Narrow) -> EventQuery:
        kinds = tuple(kind for kind in told.KINDS if kind not in told.NOISE)
        if asked.kinds:
            low = [glob.lower() for glob in asked.kinds]
            kinds = tuple(k for k in told.KINDS if any(fnmatch.fnmatchcase(k.lower(), glob) for glob in low))
            if not kinds:
                raise BadRequest(
                    f"no kind of event is named {', '.join(asked.kinds)}", f"there are {', '.join(told.KINDS)}"
                )
        return EventQuery(bots=both(self._bots, asked.bots), tail=TAIL, since=asked.since, kinds=kinds)


def both(scope: tuple[str, ...], asked: tuple[str, ...]) -> tuple[str, ...]:
    """Return the bots of a scope that a filter asks for; globs are left to the fleet where the scope is all of it."""
    if not scope or not asked:
        return asked or scope
    chosen = tuple(bot_id for bot_id in scope if any(fnmatch.fnmatchcase(bot_id, glob) for glob in asked))
    if not chosen:
        raise BadRequest(f"none of these bots is named {', '.join(asked)}")
    return chosen


def _wanted(asked: Narrow) -> Callable[[EventLine], bool]:
    pattern = re.compile(asked.pattern, re.IGNORECASE)
    lowest = LEVELS[asked.level]

    def wanted(event: EventLine) -> bool:
        if LEVELS[told.level(event["kind"])] < lowest or asked.by not in told.who(event["actor"]).lower():
            return False
        return not asked.pattern or pattern.search(f"{event['kind']} {told.told(event)}") is not None

    return wanted


def log_line(line: LogLine) -> Line:
    """Return a log line as a pane shows it."""
    text = (
        words.visible(line["text"])
        if "\n" not in line["text"]
        else " ⏎ ".join(map(words.visible, line["text"].split("\n")))
    )
    more = "\n".join(map(words.visible, line["exception"].rstrip().split("\n"))) if line["exception"] else ""
    return Line(line["at"], line["level"], _tag(line["bot_id"]), text, more, words.visible(line["logger"]))


def event_line(event: EventLine) -> Line:
    """Return an event as a pane shows it."""
    kind = event["kind"]
    return Line(event["at"], told.level(kind), _tag(event["bot_id"]), told.told(event), note=words.visible(kind))


def _tag(bot_id: str) -> str:
    return "fleet" if bot_id == FLEET else words.visible(bot_id)
