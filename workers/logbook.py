"""The log of a fleet: every line stamped with its bot, cleaned of secrets, to stderr, to the store, to whoever follows.

Uses the standard library's logging. `current_bot` is set by each bot's keeper; tasks inherit it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import IO, Any, Final

from config.vocabulary import FLEET
from store.database import Store
from store.errors import StoreError
from workers.clock import Clock, SystemClock
from workers.redaction import Redactor
from workers.repeats import WINDOW_S, Repeats, Traces

current_bot: ContextVar[str] = ContextVar("current_bot", default=FLEET)


class RequestMark:
    """What the lines of a request are named by; emptied when it has ended, as tasks it began may outlive it."""

    __slots__ = ("request_id",)

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id


_NO_REQUEST: Final = RequestMark("")
current_request: ContextVar[RequestMark] = ContextVar("current_request", default=_NO_REQUEST)

CAPACITY: Final = 10_000
"""Lines kept until the store has taken them."""
CAPACITY_CHARACTERS: Final = 16 * 1024 * 1024
"""How long these may be together."""
BATCH: Final = 500
"""Lines of one write job: turns wait behind it."""
LONGEST: Final = 8192
"""Characters of one text; more is cut out of its middle, after the secrets."""
LONGEST_RAW: Final = 128 * 1024
"""Characters that are looked through for secrets; what is longer is cut before."""
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_CHATTY: Final = ("aiohttp", "httpx", "httpcore", "telegram", "asyncio", "watchfiles", "uvicorn", "aiosqlite")
_COLOURS: Final = {10: "2", 30: "33", 40: "31", 50: "1;31"}
_USUAL: Final = frozenset(logging.makeLogRecord({}).__dict__) | {
    "message",
    "asctime",
    "taskName",
    "bot_id",
    "color_message",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One line as everybody sees it. at is Unix seconds; level as in the logging module."""

    bot_id: str
    at: float
    level: int
    logger: str
    text: str
    exception: str

    def as_dict(self) -> dict[str, Any]:
        """Return the line JSON-ready, its level by name."""
        return {
            "at": self.at,
            "bot_id": self.bot_id,
            "level": logging.getLevelName(self.level).lower(),
            "logger": self.logger,
            "text": self.text,
            "exception": self.exception,
        }


def _named(line: Line) -> Line:
    """Return a line with the name of the request it was written on behalf of."""
    request_id = current_request.get().request_id
    return replace(line, text=f"{line.text} request={request_id}") if request_id else line


def visible(text: str) -> str:
    """Return text with control characters made visible; line feeds and tabs stay. Cut to about LONGEST."""
    if len(text) > LONGEST:
        half = LONGEST // 2  # a trace says where at its beginning, and what at its end
        text = f"{text[:half]}… ({len(text) - 2 * half} characters left out) …{text[-half:]}"
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


class Logbook(logging.Handler):
    """The one handler at the root. Emitting never raises, and never lets a secret through.

    It waits for nothing but its stream: give it one whose write returns at once. colour marks levels on a terminal.
    """

    def __init__(
        self,
        redactor: Redactor,
        *,
        level: str = "info",
        form: str = "human",
        stream: IO[str] | None = None,
        colour: bool = False,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(LEVELS[level])
        self.redactor = redactor
        self.dropped = 0
        """Lines the store did not take in time, since it last took some."""
        self.quiet = False
        """While set, lines are kept and handed on but not printed: a screen is where they would be printed."""
        self._write_line = _as_json if form == "json" else coloured if colour else human
        self._stream = stream
        self._clock = clock or SystemClock()
        self._waiting: deque[Line] = deque()
        self._size = 0
        self._followers: list[Callable[[Line], None]] = []
        self._repeats: Repeats[Line] = Repeats()
        self._traces = Traces()
        self._guard = threading.Lock()

    def set_level(self, level: str) -> None:
        """Keep lines of this level and above from now on."""
        self.setLevel(LEVELS[level])
        logging.getLogger().setLevel(LEVELS[level])

    # --- lines come ------------------------------------------------------------------------------------------------

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        try:
            line = self._line(record)
            self._settle(line.at)
            if self._repeats.allows((line.bot_id, line.logger, line.text, line.exception), line, line.at):
                self._spread(_named(line))
        except Exception:  # noqa: BLE001 (whoever logs must not fail for it: a text may come from any __str__)
            self._confess(record)

    def _line(self, record: logging.LogRecord) -> Line:
        more = "".join(f" {name}={value}" for name, value in record.__dict__.items() if name not in _USUAL)
        bot_id, at = str(getattr(record, "bot_id", None) or current_bot.get()), self._clock.now()
        exception = self._told(bot_id, record.exc_info[1], at) if record.exc_info and record.exc_info[1] else ""
        if record.stack_info:
            exception += record.stack_info
        return Line(
            bot_id,
            at,
            record.levelno,
            record.name,
            self._fit(_message(record) + more),
            self._fit(exception).rstrip(),
        )

    def _told(self, bot_id: str, error: BaseException, at: float) -> str:
        """Return the trace of an error; of one that came the same way a few times just now, what it says alone."""
        if self._traces.wanted(bot_id, error, at):
            return "".join(traceback.format_exception(error))
        said = "".join(traceback.format_exception_only(error)).rstrip()
        return f"{said}\n(it came the same way as the errors before: their traces tell)"

    def _fit(self, text: str) -> str:
        """Return a text as it may be seen: without secrets, first of all."""
        if len(text) <= LONGEST_RAW:
            return visible(self.redactor.clean(text))
        cleaned = self.redactor.clean(text[:LONGEST_RAW])
        if len(cleaned) < LONGEST_RAW // 2:  # its end, which may be half a secret, would be seen
            return f"(a text of {len(text)} characters, most of them secrets)"
        return visible(f"{cleaned[: LONGEST - 100]}… (cut off after {LONGEST - 100} of {len(text)} characters)")

    def _confess(self, record: logging.LogRecord) -> None:
        """Say at least that there was a line, in words that are our own."""
        text = f"a line that cannot be shown, from {record.pathname}:{record.lineno}"
        self._spread(Line(FLEET, self._clock.now(), record.levelno, record.name, text, ""))

    def settle(self, *, all_: bool = False) -> None:
        """Say of lines that were repeated too often how often, as far as their time is over."""
        self.acquire()  # other threads log too
        try:
            self._settle(self._clock.now(), all_=all_)
        finally:
            self.release()

    def _settle(self, at: float, *, all_: bool = False) -> None:
        for last, count in self._repeats.settled(at, all_=all_):
            times = f"{count} more like it" if count > 1 else "one more like it"
            self._spread(replace(last, at=at, text=f"{last.text} (and {times} in {WINDOW_S:g} s)", exception=""))

    def _spread(self, line: Line) -> None:
        self._keep(line)
        self._print(line)
        for follower in list(self._followers):
            with suppress(RuntimeError):  # its loop is closed: it will not follow much longer
                follower(line)

    # --- lines go --------------------------------------------------------------------------------------------------

    def _keep(self, line: Line) -> None:
        with self._guard:
            self._waiting.append(line)
            self._size += _size(line)
            self._trim()

    def _trim(self) -> None:
        while len(self._waiting) > CAPACITY or self._size > CAPACITY_CHARACTERS:
            self._size -= _size(self._waiting.popleft())
            self.dropped += 1

    def _print(self, line: Line) -> None:
        if self.quiet:
            return
        stream = self._stream or sys.stderr
        try:
            stream.write(self._write_line(line) + "\n")
            stream.flush()
        except (OSError, ValueError, AttributeError):
            return  # nobody reads stderr any more (closed pipe, closed file, full disk): the store still has the line

    @contextmanager
    def follow(self, follower: Callable[[Line], None]) -> Iterator[None]:
        """Hand every line to follower for the length of the block, from any thread. It must be quick and must not log."""
        self._followers.append(follower)
        try:
            yield
        finally:
            self._followers.remove(follower)

    async def write_down(self, store: Store) -> int:
        """Give the store what is waiting now, in order; return how many lines.

        While the store refuses, they wait on, bounded. Cancelling loses none; a batch under way may be written twice.
        """
        self.settle()
        left, written = len(self._waiting), 0
        while left > 0 and (batch := self._take(min(left, BATCH))):
            left -= len(batch)
            try:
                await store.append_logs(
                    [(n.bot_id, int(n.at * 1000), n.level, n.logger, n.text, n.exception) for n in batch]
                )
            except BaseException as error:
                self._give_back(batch)
                if isinstance(error, StoreError):
                    return written
                raise
            written += len(batch)
        if written and self.dropped:
            self._tell_dropped()
        return written

    def _tell_dropped(self) -> None:
        text = f"{self.dropped} log lines were left out: they came faster than the database took them"
        self.dropped = 0
        self._spread(Line(FLEET, self._clock.now(), logging.WARNING, __name__, text, ""))

    def _take(self, count: int) -> list[Line]:
        with self._guard:
            batch = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
            self._size -= sum(map(_size, batch))
            return batch

    def _give_back(self, batch: list[Line]) -> None:
        with self._guard:
            self._waiting.extendleft(reversed(batch))
            self._size += sum(map(_size, batch))
            self._trim()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit their text
        return f"{record.msg!r} % {record.args!r}"


def _size(line: Line) -> int:
    return len(line.text) + len(line.exception)


def human(line: Line) -> str:
    """Return a line for people: time (UTC), level, bot, text; what goes on over several lines is indented."""
    return _worded(line, f"{_level_word(line):8}")


def coloured(line: Line) -> str:
    """Return a line for people at a terminal."""
    colour = _COLOURS.get(line.level)
    word = f"{_level_word(line):8}"
    return _worded(line, f"\x1b[{colour}m{word}\x1b[0m" if colour else word)


def _worded(line: Line, level: str) -> str:
    at = datetime.fromtimestamp(line.at, UTC).strftime("%H:%M:%S")
    bot = "" if line.bot_id == FLEET else f"{line.bot_id}: "
    text = f"{line.text}\n{line.exception}" if line.exception else line.text
    # Indented, so that nobody's text can pass for a line of its own.
    return f"{at} {level} {bot}{text}".replace("\n", "\n    ")


def _as_json(line: Line) -> str:
    return json.dumps(line.as_dict())


def _level_word(line: Line) -> str:
    return logging.getLevelName(line.level).lower()


def wants_colour(descriptor: int, environ: Mapping[str, str]) -> bool:
    """Tell whether whoever reads a descriptor wants colours: a terminal that is not dumb, and no NO_COLOR."""
    return not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb" and os.isatty(descriptor)


@contextmanager
def installed(logbook: Logbook) -> Iterator[Logbook]:
    """Make logbook the only root handler for the length of the block, hooks for stray exceptions included."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    chatty = {name: logging.getLogger(name).level for name in _CHATTY}
    root.handlers[:] = [logbook]
    root.setLevel(logbook.level)
    logging.captureWarnings(capture=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    _install_hooks()
    try:
        yield logbook
    finally:
        logbook.settle(all_=True)
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        for name, before in chatty.items():
            logging.getLogger(name).setLevel(before)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


def _install_hooks() -> None:
    """Lead exceptions that nobody caught through the log: the interpreter would print them as they are."""
    logger = logging.getLogger("botdeck")

    def uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            logger.info("interrupted")  # no mistake, and no trace: what was going on is nobody's business
        else:
            logger.critical("uncaught", exc_info=(kind, error, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            logger.critical("uncaught in a thread", exc_info=args.exc_value)

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            logger.error("ignored in %s", args.err_msg or "a finaliser", exc_info=args.exc_value)

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
