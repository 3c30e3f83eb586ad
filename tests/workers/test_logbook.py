"""The log: stamped, clean of secrets, bounded, and never a burden to who logs."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import os
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import anyio
import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from store.database import Store
from workers.clock import ManualClock
from workers.logbook import (
    BATCH,
    CAPACITY,
    CAPACITY_CHARACTERS,
    LONGEST,
    LONGEST_RAW,
    Line,
    Logbook,
    current_bot,
    installed,
    wants_colour,
)
from workers.redaction import Redactor
from workers.repeats import ALLOWED, REMEMBERED, WINDOW_S, WRITTEN_OUT

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"
SECRET = 'pa"ss/w\\örd-42'

logger = logging.getLogger("workers.some_part")


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def book(out: io.StringIO) -> Iterator[Logbook]:
    with installed(Logbook(Redactor([SECRET]), stream=out, level="debug")) as logbook:
        yield logbook


def everything(book: Logbook, out: io.StringIO) -> str:
    return out.getvalue() + "".join(f"{n.text}{n.exception}" for n in book._waiting)


def clean(text: str) -> bool:
    return not any(s in text for s in (TOKEN, SECRET, quote(SECRET, safe=""), json.dumps(SECRET)[1:-1], "AAHdqTcvCH1"))


def test_no_path_lets_a_secret_through(book: Logbook, out: io.StringIO) -> None:
    """Message, arguments, exception text, cause, notes, stack, warnings, threads, stray exceptions: all are cleaned."""
    logger.info("token %s and %s", TOKEN, {"password": SECRET})
    logger.warning("url https://api.telegram.org/bot" + TOKEN + "/getMe?x=" + quote(SECRET, safe=""))
    try:
        try:
            raise ValueError(f"inner {SECRET}")
        except ValueError as inner:
            raise RuntimeError(f"outer {TOKEN}") from inner
    except RuntimeError as error:
        error.add_note(f"note {TOKEN}")
        logger.exception("it broke")
        sys.excepthook(type(error), error, error.__traceback__)
    warnings.simplefilter("always")
    warnings.warn(f"careful with {TOKEN}", stacklevel=1)

    def crash() -> None:
        raise KeyError(TOKEN)

    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    text = everything(book, out)
    assert clean(text)
    for part in ("it broke", "outer", "inner", "note", "careful", "uncaught in a thread", "KeyError"):
        assert part in text


@pytest.mark.parametrize("form", ["human", "json"])
def test_secrets_in_corners(form: str) -> None:
    """A token put together by formatting, extra fields, a mapping, an exception group, chained causes: all cleaned."""
    out = io.StringIO()
    number, _, rest = TOKEN.partition(":")
    with installed(Logbook(Redactor([SECRET]), stream=out, form=form)) as book:
        logger.info("%s:%s", number, rest)
        logger.info("%(a)s", {"a": SECRET})
        logger.info("see", extra={"url": f"https://x/?p={quote(SECRET)}", "token": TOKEN})
        logger.info(TOKEN.encode())
        logger.info("bad %d", TOKEN)
        logger.info("stack", stack_info=True)
        try:
            try:
                raise ExceptionGroup(f"group {SECRET}", [ValueError(TOKEN), KeyError(SECRET)])
            except ExceptionGroup:
                raise OSError(5, f"broke {SECRET}", f"/x/{TOKEN}")  # noqa: B904
        except OSError as error:
            error.add_note(json.dumps({"p": SECRET}))
            logger.warning("caught %r", error, exc_info=True)
            sys.excepthook(BaseExceptionGroup, BaseExceptionGroup(TOKEN, [error, KeyboardInterrupt()]), None)
    text = everything(book, out)
    assert clean(text)
    for part in ("url=", "stack", "broke", "group", "bad %d", "uncaught"):
        assert part in text


def test_what_a_task_raised_unheard_is_cleaned(book: Logbook, out: io.StringIO) -> None:
    """The event loop's own complaints about lost exceptions go through the log."""

    async def fail() -> None:
        raise RuntimeError(TOKEN)

    async def lose_it() -> None:
        await asyncio.wait([asyncio.ensure_future(fail())])
        gc.collect()

    uvloop.run(lose_it())
    assert "never retrieved" in out.getvalue()
    assert "RuntimeError" in out.getvalue()
    assert clean(everything(book, out))


def test_ctrl_c_is_no_trace(book: Logbook, out: io.StringIO) -> None:
    """An interrupt that nobody caught leaves a line, not what was going on."""
    error = KeyboardInterrupt()
    error.__context__ = ValueError(TOKEN)
    sys.excepthook(KeyboardInterrupt, error, None)
    assert out.getvalue().rstrip().endswith("interrupted")


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([SECRET, TOKEN]))
def test_whatever_is_logged_around_a_secret_it_does_not_appear(before: str, after: str, secret: str) -> None:
    """Message and exception text, at any place, in any company."""
    out = io.StringIO()
    book = Logbook(Redactor([SECRET, TOKEN]), stream=out)
    record = logging.LogRecord("x", 30, __file__, 1, "%s%s%s", (before, secret, after), None)
    record.stack_info = f"{before}{secret}{after}"
    book.handle(record)
    assert secret not in everything(book, out)


def test_known_secrets_can_be_exchanged(book: Logbook, out: io.StringIO) -> None:
    """A new .env brings new secrets; the old ones are no longer looked for."""
    book.redactor.replace_known(["brand-new-secret"])
    logger.info("now brand-new-secret")
    assert "brand-new-secret" not in out.getvalue()


def test_lines_carry_their_bot(book: Logbook, out: io.StringIO) -> None:
    """The bot comes from the context, or from the record itself."""
    logger.info("of the fleet")
    token = current_bot.set("support")
    logger.info("of a bot")
    current_bot.reset(token)
    logger.info("of another", extra={"bot_id": "sales"})
    assert [n.bot_id for n in book._waiting] == ["_fleet", "support", "sales"]
    assert out.getvalue().splitlines()[1].endswith("support: of a bot")


def test_control_characters_do_not_reach_the_terminal(book: Logbook, out: io.StringIO) -> None:
    """An escape sequence in a person's name is shown, not obeyed; nobody's text can pass for a line of its own."""
    # Handed to the logbook alone: what the test runner collects of the log must be UTF-8.
    text, evil = "hello \x1b[31m%s", "\u202eevil\x07\x9b\ud83e"
    book.handle(logging.LogRecord("x", logging.INFO, __file__, 1, text, (evil,), None))
    logger.info("one\n12:00:00 error    support: forged\r\x00")
    first, second, third = out.getvalue().splitlines()
    assert first.endswith("hello \\x1b[31m\\u202eevil\\x07\\x9b\\ud83e")
    assert second.endswith("one")
    assert third == "    12:00:00 error    support: forged\\r\\x00"


def test_long_texts_are_cut_after_their_secrets(book: Logbook, out: io.StringIO) -> None:
    """A cut shows beginning and end, never half a secret; a text too long to be looked through loses its end."""
    logger.info("begin%send", "y" * LONGEST)
    logger.info("%s%s", "z" * (LONGEST_RAW - 10), TOKEN)
    logger.info("%s", TOKEN * (LONGEST_RAW // len(TOKEN) + 1))
    for shift in range(0, len(TOKEN), 5):
        logger.info("%s%s%s", "w" * (LONGEST // 2 - shift), TOKEN, "w" * LONGEST)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) < LONGEST + 100
    assert "begin" in lines[0]
    assert lines[0].endswith("end")
    for part in range(len(TOKEN) - 12):
        assert TOKEN[part : part + 12] not in out.getvalue()


def test_a_long_trace_keeps_its_last_line(book: Logbook, out: io.StringIO) -> None:
    """What went wrong stands at the end of a trace; the middle is what can be spared."""
    try:
        raise ValueError("z" * LONGEST + "the reason")
    except ValueError:
        logger.exception("broke")
    assert book._waiting[-1].exception.startswith("Traceback")
    assert book._waiting[-1].exception.endswith("the reason")


def test_colours_only_where_they_are_wanted() -> None:
    """A terminal gets its levels coloured; a pipe, TERM=dumb and NO_COLOR get no escape code."""
    terminal, side = os.openpty()
    try:
        assert wants_colour(side, {"TERM": "xterm"})
        for environ in ({}, {"TERM": "dumb"}, {"TERM": "xterm", "NO_COLOR": "1"}):
            assert not wants_colour(side, environ)
    finally:
        os.close(terminal)
        os.close(side)
    with open(os.devnull) as null:
        assert not wants_colour(null.fileno(), {"TERM": "xterm"})
    for colour in (True, False):
        out = io.StringIO()
        Logbook(Redactor(), stream=out, colour=colour).handle(logging.LogRecord("x", 40, "", 1, "broke", (), None))
        assert ("\x1b[31merror" in out.getvalue()) is colour
        assert ("\x1b" in out.getvalue()) is colour


def test_json_lines(out: io.StringIO) -> None:
    """--log-format json: one object a line, exceptions included."""
    with installed(Logbook(Redactor(), stream=out, form="json")):
        try:
            raise ValueError("x")
        except ValueError:
            logger.exception("broke")
    line = json.loads(out.getvalue())
    assert (line["level"], line["text"], line["bot_id"]) == ("error", "broke", "_fleet")
    assert "ValueError: x" in line["exception"]


def test_a_repeated_line_is_collapsed(out: io.StringIO, clock: ManualClock) -> None:
    """One bot that says the same thing a thousand times does not drown the others; how often it did is told."""
    with installed(Logbook(Redactor(), stream=out, clock=clock)):
        for _ in range(1000):
            logger.warning("again %s", "and again", extra={"bot_id": "a"})
        logger.warning("again and again", extra={"bot_id": "b"})
        assert len(out.getvalue().splitlines()) == ALLOWED + 1
        clock.jump(10)
        logger.warning("something else")
        told, after = out.getvalue().splitlines()[-2:]
        assert told.endswith("a: again and again (and 980 more like it in 10 s)")
        assert after.endswith("something else")
        for _ in range(ALLOWED + 1):
            logger.warning("the last words")
    assert out.getvalue().splitlines()[-1].endswith("the last words (and one more like it in 10 s)")


def test_different_lines_are_not_collapsed(book: Logbook, out: io.StringIO) -> None:
    """What differs in its arguments, or in its exception, is news."""
    for n in range(100):
        logger.warning("update %d failed", n)
        logger.warning("broke", exc_info=ValueError(n))
    assert out.getvalue().count(" failed") == 100
    assert out.getvalue().count("ValueError") == 100


def test_a_trace_that_repeats_is_named(out: io.StringIO, clock: ManualClock) -> None:
    """Every error of a bot that fails at each message is told; where it came from only a few times in a while."""

    def fail(number: int) -> None:
        try:
            raise RuntimeError(f"number {number}")
        except RuntimeError:
            logger.exception("update %d failed", number)

    with installed(Logbook(Redactor(), stream=out, clock=clock)):
        for number in range(10):
            fail(number)
        assert out.getvalue().count("Traceback") == WRITTEN_OUT
        assert all(f"RuntimeError: number {number}" in out.getvalue() for number in range(10))
        try:
            int("no number")
        except ValueError:
            logger.exception("something else failed")
        assert out.getvalue().count("Traceback") == WRITTEN_OUT + 1
        clock.jump(WINDOW_S)
        fail(11)
    assert out.getvalue().count("Traceback") == WRITTEN_OUT + 2


def test_traces_of_different_bots_are_told_apart(book: Logbook, out: io.StringIO) -> None:
    """That one bot fails says nothing of another, even in the same line."""
    for number in range(2 * WRITTEN_OUT):
        try:
            raise RuntimeError("the same")
        except RuntimeError:
            logger.exception("failed at %d", number, extra={"bot_id": f"bot{number % 2}"})
    assert out.getvalue().count("Traceback") == 2 * WRITTEN_OUT


def test_the_memory_for_repeated_lines_is_bounded(book: Logbook, out: io.StringIO) -> None:
    """Any number of different lines costs a fixed amount."""
    for n in range(REMEMBERED + 100):
        logger.info("line %d", n)
    assert len(book._repeats._open) <= REMEMBERED + 1


class Unspeakable:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __str__(self) -> str:
        raise self.error


@pytest.mark.parametrize(
    "arguments",
    [
        ("%d", "no number"), ("%s %s", 1), ("%(missing)s", {"x": 1}), ("%s", Unspeakable(RuntimeError("no"))),
        (Unspeakable(ValueError("no")),), ("%s", Unspeakable(RecursionError())), ("%z", 1), ("", 1),
    ],
)  # fmt: skip
def test_who_logs_never_fails_for_it(book: Logbook, out: io.StringIO, arguments: tuple[Any, ...]) -> None:
    """Whatever is wrong with a text or its arguments, there is a line, and no exception."""
    book.handle(logging.LogRecord("x", logging.INFO, __file__, 1, arguments[0], arguments[1:], None))
    assert len(out.getvalue().splitlines()) == 1


def test_a_stream_that_fails_is_survived(book: Logbook, out: io.StringIO) -> None:
    """Closed, without a reader, on a full disk: the log goes on, the store still gets the line."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as broken:
        book._stream = broken
        logger.error("into a broken pipe")
        with suppress(BrokenPipeError):
            broken.close()
    with open("/dev/full", "w") as full:
        book._stream = full
        logger.error("onto a full disk")
        with suppress(OSError):
            full.close()
    out.close()
    book._stream = out
    logger.error("into a closed file")
    assert [n.text for n in book._waiting] == ["into a broken pipe", "onto a full disk", "into a closed file"]


def test_many_threads_may_log(book: Logbook, out: io.StringIO) -> None:
    """No line is lost, torn or written twice."""

    def talk(name: str) -> None:
        for n in range(200):
            logger.info("%s says %d", name, n)

    threads = [threading.Thread(target=talk, args=(f"t{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = {line.split(maxsplit=2)[2] for line in out.getvalue().splitlines()}
    assert said == {f"t{t} says {n}" for t in range(4) for n in range(200)}
    assert len(book._waiting) == 800


def test_everything_is_put_back(out: io.StringIO) -> None:
    """After the block the process logs and complains as it did before."""

    def state() -> list[object]:
        root = logging.getLogger()
        levels = [logging.getLogger(name).level for name in ("", "aiohttp", "uvicorn")]
        return [*root.handlers, *levels, sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning]

    before = state()
    with installed(Logbook(Redactor(), stream=out)):
        assert state() != before
    assert state() == before


def test_the_level_can_be_changed_while_it_runs(book: Logbook, out: io.StringIO) -> None:
    """[log] level takes effect in place."""
    book.set_level("error")
    logger.warning("not kept")
    logger.error("kept")
    assert [n.text for n in book._waiting] == ["kept"]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(tmp_path / "x.db", now_ms=1)
    yield store
    await store.close()


def fill(book: Logbook, count: int, text: str = "line {}") -> None:
    for n in range(count):
        book._keep(Line("support", 1.0, 20, "x", text.format(n), ""))


@pytest.mark.anyio
async def test_lines_reach_the_store_in_order(book: Logbook, store: Store) -> None:
    """All that was logged before is written, in batches small enough for turns to pass."""
    logger.info("first", extra={"bot_id": "support"})
    fill(book, BATCH * 2 + 1)
    assert await book.write_down(store) == BATCH * 2 + 2
    rows = await store.partition("support").logs.tail(5000)
    assert [r.text for r in rows] == ["first", *(f"line {n}" for n in range(BATCH * 2 + 1))]
    assert rows[0].level == 20
    assert await book.write_down(store) == 0


@pytest.mark.anyio
async def test_lines_wait_while_the_store_refuses(book: Logbook, store: Store, tmp_path: Path) -> None:
    """After a refusal they are still there, in order, bounded; how many were left out is told with the next."""
    fill(book, CAPACITY + 5)
    other = await Store.open(tmp_path / "closed.db", now_ms=1)
    await other.close()
    assert await book.write_down(other) == 0
    assert len(book._waiting) == CAPACITY
    assert (book._waiting[0].text, book.dropped) == ("line 5", 5)
    assert await book.write_down(store) == CAPACITY
    assert (book._waiting[0].text[:22], book.dropped) == ("5 log lines were left ", 0)


@pytest.mark.anyio
async def test_a_cancelled_write_loses_no_line(book: Logbook, store: Store) -> None:
    """What was on its way is written again rather than lost."""
    fill(book, 10)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await book.write_down(store)
    assert [n.text for n in book._waiting] == [f"line {n}" for n in range(10)]
    assert book._size == sum(len(n.text) for n in book._waiting)


def test_waiting_lines_are_bounded_by_their_length_too(book: Logbook) -> None:
    """Ten thousand traces do not take a hundred megabytes."""
    fill(book, 4000, "{}" + "x" * LONGEST)
    assert sum(len(n.text) for n in book._waiting) <= CAPACITY_CHARACTERS
    assert book.dropped == 4000 - len(book._waiting) > 0


def test_followers_see_lines_as_they_come(book: Logbook) -> None:
    """`logs --follow` hears every line while it listens, and none after; one that is gone disturbs nobody."""
    heard: list[str] = []

    def gone(line: Line) -> None:
        raise RuntimeError("Event loop is closed")

    with book.follow(gone), book.follow(lambda line: heard.append(line.text)):
        logger.info("one")
    logger.info("two")
    assert heard == ["one"]
    assert [n.text for n in book._waiting] == ["one", "two"]
