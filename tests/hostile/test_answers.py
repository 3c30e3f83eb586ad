"""Whatever a Bot API answers to a poll, a send, a frame, a file: what was asked for, or an error that is foreseen."""

from __future__ import annotations

import gzip
import json
import math
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.hostile.texts import is_quiet
from tests.hostile.updates import CHAT, KINDS, PERSON, spoiled
from tests.workers.telegram_rig import TOKEN, assert_no_token, canned_server, telegram_config, text_to
from workers.channels.base import Frame, Identity, Lane
from workers.channels.telegram import TelegramChannel
from workers.clock import ManualClock
from workers.errors import ChannelError, RateLimited
from workers.http import Http

pytestmark = pytest.mark.anyio

GZIP = {"Content-Encoding": "gzip"}
ANSWERS: dict[str, tuple[bytes, dict[str, str]]] = {
    "nothing": (b"", {}),
    "no json": (b"<html>", {}),
    "half": (b'{"ok": true, "result": [{"upd', {}),
    "a list": (b"[]", {}),
    "null": (b"null", {}),
    "deep": (b"[" * 100_000, {}),
    "deep within": (b'{"ok": true, "result": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}),
    "digits": (b'{"ok": true, "result": ' + b"9" * 100_000 + b"}", {}),
    "no utf-8": (b'{"ok": true, "result": "\xff"}', {}),
    "ok is text": (b'{"ok": "true", "result": {}}', {}),
    "no result": (b'{"ok": true}', {}),
    "odd code": (b'{"ok": false, "error_code": "x", "description": 5, "parameters": [1]}', {}),
    "odd wait": (b'{"ok": false, "error_code": 429, "parameters": {"retry_after": 1e400}}', {}),
    "huge wait": (b'{"ok": false, "error_code": 429, "parameters": {"retry_after": ' + b"9" * 400 + b"}}", {}),
    "no wait": (b'{"ok": false, "error_code": 429, "parameters": {"retry_after": -5}}', {}),
    "odd move": (b'{"ok": false, "error_code": 400, "parameters": {"migrate_to_chat_id": {}}}', {}),
    "huge code": (b'{"ok": false, "error_code": ' + b"9" * 60 + b"}", {}),
    "bomb": (gzip.compress(b" " * 200_000_000, 1), GZIP),
    "no gzip": (b"no gzip at all", GZIP),
    "half a gzip": (gzip.compress(b'{"ok": true, "result": []}')[:-14], GZIP),
    "50 MB": (b'{"ok": true, "result": "' + b"x" * 50_000_000 + b'"}', {}),
    "no such charset": (b"\xff\xfe", {"Content-Type": "application/json; charset=no-such"}),
}
TAKEN = {"deep within", "digits", "no utf-8"}
"""They say ok: a send was taken, whatever became of its number."""

CALLS: dict[str, Callable[[TelegramChannel], Awaitable[Any]]] = {
    "poll": lambda channel: channel.poll(None),
    "a brief poll": lambda channel: channel.poll(7, brief=True),
    "forget": lambda channel: channel.forget_pending(),
    "getMe": lambda channel: channel.identify(),
    "send": lambda channel: channel.send(text_to(501)),
    "frame": lambda channel: channel.show(Frame(Lane(501), "so far", message_id=7)),
    "file": lambda channel: channel.download("AgAD", 1000),
}


class Server:
    """Answers everything with what is set."""

    def __init__(self) -> None:
        self.body, self.headers, self.status = b"", dict[str, str](), 200
        self.url = ""
        self.http = Http()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", **self.headers}
        response = web.StreamResponse(status=self.status, headers=headers)
        await response.prepare(request)
        with suppress(OSError):  # the bot may have had enough of it
            await response.write(self.body)
            await response.write_eof()
        return response

    async def outcome(self, call: str) -> Any:
        """What a call on a channel of its own gives or raises."""
        config = telegram_config(TOKEN, f"{self.url}/bot", base_file_url=f"{self.url}/file/bot")
        channel = TelegramChannel(config, self.http, ManualClock())
        try:
            return await CALLS[call](channel)
        except ChannelError as error:
            return error
        finally:
            await channel.close()


@contextmanager
def server_in_a_thread() -> Iterator[Callable[..., Any]]:
    """A server, and what asks it: for tests whose examples come outside of a loop."""
    server = Server()

    def ask(call: str, body: bytes, status: int = 200) -> Any:
        server.body, server.status = body, status
        return portal.call(server.outcome, call)

    with start_blocking_portal() as portal, portal.wrap_async_context_manager(canned_server(server.answer)) as url:
        server.url = url
        yield ask
        portal.call(server.http.close)


@pytest.mark.parametrize("call", ["poll", "send", "getMe"])
@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_is_none_is_an_outage(name: str, call: str) -> None:
    """Of the poll, of a send and of the first question; in bounded memory, and with a sentence."""
    server = Server()
    server.body, server.headers = ANSWERS[name]
    async with canned_server(server.answer) as server.url:
        outcome = await server.outcome(call)
        await server.http.close()
    if call == "send" and name in TAKEN:
        assert outcome is None
    else:
        assert isinstance(outcome, ChannelError)
    assert_sound(outcome)


UPDATES = {"ok": True, "result": [{"update_id": 5, **KINDS[0]}, {"update_id": 6, **KINDS[1]}]}
SENT = {"ok": True, "result": {"message_id": 7, "date": 1, "chat": CHAT, "from": PERSON, "text": "hi"}}
GOOD: dict[str, dict[str, Any]] = {
    "poll": UPDATES,
    "a brief poll": UPDATES,
    "forget": UPDATES,
    "getMe": {"ok": True, "result": {"id": 100001, "is_bot": True, "first_name": "Shop", "username": "shop_bot"}},
    "send": SENT,
    "frame": SENT,
    "file": {
        "ok": True,
        "result": {"file_id": "A", "file_unique_id": "B", "file_size": 5, "file_path": "photos/1.jpg"},
    },
}
REFUSALS: tuple[dict[str, Any], ...] = (
    {"ok": True, "result": True},
    {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 3", "parameters": {"retry_after": 3}},
    {"ok": False, "error_code": 400, "description": "Bad Request", "parameters": {"migrate_to_chat_id": -1009}},
    {"ok": False, "error_code": 400, "description": "Bad Request: can't parse entities: byte offset 5"},
    {"ok": False, "error_code": 400, "description": "Bad Request: message is not modified"},
    {"ok": False, "error_code": 401, "description": "Unauthorized"},
    {"ok": False, "error_code": 403, "description": "Forbidden: bot was blocked by the user"},
    {"ok": False, "error_code": 409, "description": "Conflict: terminated by other getUpdates request"},
    {"ok": False, "error_code": 500, "description": "Internal Server Error: restart"},
)  # fmt: skip
STATUSES = (204, 301, 400, 401, 403, 404, 409, 413, 429, 500, 502)


@st.composite
def answers(draw: st.DrawFn) -> tuple[str, bytes, int]:
    """Return a call, and an answer to it with a few things changed, now and then with bytes in between, cut or doubled."""
    call, chance = draw(st.sampled_from(sorted(CALLS))), random.Random(draw(st.integers()))
    said = draw(st.sampled_from((GOOD[call],) * 2 * len(REFUSALS) + REFUSALS))
    if said is GOOD[call] and draw(st.booleans()):
        said = {"ok": True, **spoiled(chance, {"result": said["result"]}, 2)}  # what was asked for comes, and is odd
    else:
        said = spoiled(chance, said, 2)
    raw = json.dumps(said).encode()
    if chance.random() < 0.2:
        at = chance.randrange(len(raw))
        raw = raw[:at] + draw(st.binary(max_size=4)) + raw[chance.randrange(len(raw)) :]
    return call, raw, chance.choice(STATUSES) if chance.random() < 0.2 else 200


def test_a_spoiled_answer_is_what_was_asked_for_or_a_foreseen_error() -> None:
    """Whatever the call and the status: numbers that can be stored, names that can be written, waits that end."""
    met = {"result": 0, "error": 0}

    with server_in_a_thread() as ask:

        @settings(max_examples=400, suppress_health_check=list(HealthCheck), deadline=None)
        @given(answers())
        @example(
            (
                "getMe",
                b'{"ok": true, "result": {"id": 7, "is_bot": true, "first_name": "a\\ud800", "username": "b"}}',
                200,
            )
        )
        @example(("send", b'{"ok": false, "error_code": 400, "description": "a\\u001b[2J"}', 400))
        def spoil(asked: tuple[str, bytes, int]) -> None:
            outcome = ask(*asked)
            met["error" if isinstance(outcome, ChannelError) else "result"] += 1
            assert_sound(outcome)

        spoil()
    assert min(met.values()) > 20, met


def assert_sound(outcome: Any) -> None:
    """Fail for anything the rest of the fleet could not go on with."""
    if isinstance(outcome, ChannelError):
        assert is_quiet(str(outcome))
        assert len(str(outcome)) < 1000
        assert_no_token(outcome)
    match outcome:
        case RateLimited():
            assert math.isfinite(outcome.retry_after_s)
            assert 0 < outcome.retry_after_s <= 86_400
        case Identity():
            f"{outcome.username}{outcome.name}".encode()
            assert abs(outcome.id) < 2**63
        case list():
            assert all(isinstance(update, dict) for update in outcome)
            json.dumps(outcome).encode()
        case int():
            assert abs(outcome) < 2**63
        case _:
            assert outcome is None or isinstance(outcome, bytes | ChannelError)
