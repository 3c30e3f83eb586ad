"""The log of a fleet: every line stamped with its bot, cleaned of secrets, to stderr, to the store, to whoever follows.

Uses the standard library's logging. `current_bot` is set by each bot's keeper; tasks inherit it.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Final

from config.vocabulary import FLEET
from store.database import Store
from store.errors import StoreError
from workers.redaction import Redactor

current_bot: ContextVar[str] = ContextVar("current_bot", default=FLEET)

CAPACITY: Final = 10_000
"""Lines kept until the store has taken them."""
LONGEST: Final = 8192
"""Characters of one text; more is cut off."""
REPEATS: Final = 20
REPEAT_WINDOW_S: Final = 10.0
LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
_CHATTY: Final = ("aiohttp", "httpx", "httpcore", "telegram", "asyncio", "watchfiles", "uvicorn", "aiosqlite")


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


def visible(text: str) -> str:
    """Return text with control characters made visible and cut to LONGEST; line feeds and tabs stay."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text) - LONGEST} characters more)"
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


class _Repeats:
    """Collapses a line that one bot repeats too often."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def judge(self, bot_id: str, template: str, at: float) -> int | None:
        """Return how many lines were swallowed before this one; None when this one is to be swallowed."""
        key = (bot_id, template)
        began, count = self._seen.get(key, (at, 0))
        if at - began >= REPEAT_WINDOW_S or at < began:
            self._seen[key] = (at, 1)
            return max(0, count - REPEATS)
        self._seen[key] = (began, count + 1)
        if len(self._seen) > CAPACITY:
            self._seen.clear()
        return 0 if count < REPEATS else None


class Logbook(logging.Handler):
    """The one handler at the root. Emitting never blocks, never raises, and never lets a secret through."""

    def __init__(
        self,
        redactor: Redactor,
        *,
        level: str = "info",
        form: str = "human",
        stream: IO[str] | None = None,
    ) -> None:
        super().__init__(LEVELS[level])
        self.redactor = redactor
        self.dropped = 0
        """Lines the store did not take in time."""
        self._form = form
        self._stream = stream
        self._waiting: deque[Line] = deque()
        self._followers: list[Callable[[Line], None]] = []
        self._repeats = _Repeats()
        self._guard = threading.Lock()

    def set_level(self, level: str) -> None:
        """Keep lines of this level and above from now on."""
        self.setLevel(LEVELS[level])
        logging.getLogger().setLevel(LEVELS[level])

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        bot_id = getattr(record, "bot_id", None) or current_bot.get()
        swallowed = self._repeats.judge(bot_id, f"{record.name}{record.msg}", record.created)
        if swallowed is None:
            return
        line = self._line(record, bot_id, swallowed)
        self._keep(line)
        self._print(line)
        for follower in list(self._followers):
            follower(line)

    def _line(self, record: logging.LogRecord, bot_id: str, swallowed: int) -> Line:
        try:
            text = record.getMessage()
        except (TypeError, ValueError):
            text = f"{record.msg!r} % {record.args!r}"
        if swallowed:
            text += f" (and {swallowed} more like it)"
        exception = ""
        if record.exc_info and record.exc_info[0] is not None:
            exception = "".join(traceback.format_exception(*record.exc_info))
        if record.stack_info:
            exception += record.stack_info
        clean = self.redactor.clean
        return Line(
            bot_id,
            record.created,
            record.levelno,
            record.name,
            visible(clean(text)),
            visible(clean(exception).rstrip()),
        )

    def _keep(self, line: Line) -> None:
        with self._guard:
            if len(self._waiting) >= CAPACITY:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(line)

    def _print(self, line: Line) -> None:
        stream = self._stream or sys.stderr
        try:
            stream.write((json.dumps(line.as_dict()) if self._form == "json" else human(line)) + "\n")
            stream.flush()
        except (OSError, ValueError, AttributeError):
            return  # nobody reads stderr any more (closed pipe, closed file, full disk): the store still has the line

    @contextmanager
    def follow(self, follower: Callable[[Line], None]) -> Iterator[None]:
        """Hand every line to follower for the length of the block. The follower must be quick and must not log."""
        self._followers.append(follower)
        try:
            yield
        finally:
            self._followers.remove(follower)

    async def write_down(self, store: Store) -> int:
        """Give the store what is waiting; return how many lines. While the store refuses, they wait on, bounded."""
        with self._guard:
            taken = list(self._waiting)
            self._waiting.clear()
        try:
            await store.append_logs(
                [(n.bot_id, int(n.at * 1000), n.level, n.logger, n.text, n.exception) for n in taken]
            )
        except StoreError:
            with self._guard:
                room = max(0, CAPACITY - len(self._waiting))
                self.dropped += max(0, len(taken) - room)
                self._waiting.extendleft(reversed(taken[len(taken) - room :] if room < len(taken) else taken))
            return 0
        return len(taken)


def human(line: Line) -> str:
    """Return a line for people: time (UTC), level, bot, text; an exception follows on lines of its own."""
    at = datetime.fromtimestamp(line.at, UTC).strftime("%H:%M:%S")
    bot = "" if line.bot_id == FLEET else f"{line.bot_id}: "
    exception = f"\n{line.exception}" if line.exception else ""
    return f"{at} {logging.getLevelName(line.level).lower():8} {bot}{line.text}{exception}"


@contextmanager
def installed(logbook: Logbook) -> Iterator[Logbook]:
    """Make logbook the only root handler for the length of the block, hooks for stray exceptions included."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    root.handlers[:] = [logbook]
    root.setLevel(logbook.level)
    logging.captureWarnings(capture=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    _install_hooks()
    try:
        yield logbook
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
        logging.captureWarnings(capture=False)
        sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


def _install_hooks() -> None:
    """Lead exceptions that nobody caught through the log: the interpreter would print them as they are."""
    logger = logging.getLogger("botdeck")

    def uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
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
