"""The log: stamped, clean of secrets, bounded, and never a burden to who logs."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.database import Store
from workers.logbook import CAPACITY, LONGEST, Line, Logbook, current_bot, installed
from workers.redaction import Redactor

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


@given(st.text(max_size=30), st.text(max_size=30))
def test_text_around_a_secret_never_uncovers_it(before: str, after: str) -> None:
    """Whatever stands beside a known secret, it is taken out; a token is, unless digits run into it."""
    redactor = Redactor([SECRET])
    assert SECRET not in redactor.clean(before + SECRET + after)
    if not before[-1:].isdigit():
        assert TOKEN not in redactor.clean(before + TOKEN + after)


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
    """An escape sequence in a person's name is shown, not obeyed; a long text is cut."""
    logger.info("hello \x1b[31m%s", "\u202eevil\x07")
    logger.info("y" * (LONGEST * 2))
    first, second = out.getvalue().splitlines()
    assert first.endswith("hello \\x1b[31m\\u202eevil\\x07")
    assert len(second) < LONGEST + 100


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


def test_a_repeated_line_is_collapsed(book: Logbook, out: io.StringIO) -> None:
    """One bot that says the same thing a thousand times does not drown the others."""
    for n in range(1000):
        logger.warning("again %d", n)
    logger.warning("something else")
    assert len(out.getvalue().splitlines()) == 21


def test_a_broken_format_or_stream_never_raises(book: Logbook, out: io.StringIO) -> None:
    """A wrong argument is logged as it is; a closed stderr is survived."""
    book.handle(logging.LogRecord("x", logging.INFO, __file__, 1, "%d", ("no number",), None))
    assert "no number" in out.getvalue()
    out.close()
    logger.error("nobody reads this, the store does")
    assert book._waiting[-1].text == "nobody reads this, the store does"


def test_the_level_can_be_changed_while_it_runs(book: Logbook, out: io.StringIO) -> None:
    """[log] level takes effect in place."""
    book.set_level("error")
    logger.warning("not kept")
    logger.error("kept")
    assert [n.text for n in book._waiting] == ["kept"]


@pytest.mark.anyio
async def test_lines_reach_the_store_and_wait_while_it_refuses(book: Logbook, tmp_path: Path) -> None:
    """Lines are written in batches; after a refusal they are still there, in order, bounded."""
    store = await Store.open(tmp_path / "x.db", now_ms=1)
    logger.info("first", extra={"bot_id": "support"})
    assert await book.write_down(store) == 1
    rows = await store.partition("support").logs.tail(10)
    assert [(r.text, r.level) for r in rows] == [("first", 20)]
    await store.close()
    for n in range(CAPACITY + 5):
        book._keep(Line("support", 1.0, 20, "x", f"line {n}", ""))
    assert await book.write_down(store) == 0
    assert len(book._waiting) == CAPACITY
    assert (book._waiting[0].text, book.dropped) == ("line 5", 5)


def test_followers_see_lines_as_they_come(book: Logbook) -> None:
    """`logs --follow` hears every line while it listens, and none after."""
    heard: list[str] = []
    with book.follow(lambda line: heard.append(line.text)):
        logger.info("one")
    logger.info("two")
    assert heard == ["one"]
