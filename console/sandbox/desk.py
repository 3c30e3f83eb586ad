"""The desk: the page for people and the switches for other processes, under `/` and `/sandbox/…`.

Only pages of this very server may use it: a foreign Origin, a cross-site fetch and a POST that is not JSON are refused.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import anyio
from aiohttp import web

from console.sandbox.answers import dump
from console.sandbox.bots import SandboxBot
from console.sandbox.faults import ANY, BOT_KINDS, MODEL_KINDS, Faults
from console.sandbox.files import sent

if TYPE_CHECKING:
    from console.sandbox.server import Sandbox

MAX_WAIT_S: Final = 50.0
PAGE: Final = Path(__file__).with_name("page.html")
MAX_LINES: Final = 200

Ask = dict[str, Any]
Route = Callable[[Ask], Awaitable[Any]]


class Desk:
    """Answers everything that is neither Bot API nor model. Values in and out are JSON."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._page: str | None = None
        self._routes: dict[tuple[str, str], Route] = {
            ("GET", "/sandbox/state"): self._state,
            ("GET", "/sandbox/messages"): self._messages,
            ("POST", "/sandbox/say"): self._say,
            ("POST", "/sandbox/press"): self._press,
            ("POST", "/sandbox/edit"): self._edit,
            ("POST", "/sandbox/member"): self._member,
            ("POST", "/sandbox/migrate"): self._migrate,
            ("POST", "/sandbox/push"): self._push,
            ("POST", "/sandbox/jump"): self._jump,
            ("POST", "/sandbox/bots"): self._add_bot,
            ("GET", "/sandbox/faults"): self._list_faults,
            ("POST", "/sandbox/faults"): self._fail,
            ("DELETE", "/sandbox/faults"): self._clear,
            ("POST", "/sandbox/faults/clear"): self._clear,
            ("POST", "/sandbox/faults/release"): self._release,
            ("GET", "/sandbox/faults/reached"): self._reached,
        }

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one request: 200 with JSON, or 400/403/404/415 with {"error": …}."""
        refusal = _foreign(request)
        if refusal is not None:
            return refusal
        if path == "/" and request.method in {"GET", "HEAD"}:
            return self._show_page()
        route = self._routes.get((request.method, path))
        if route is None:
            return _error(404, f"nothing answers {request.method} {path}; the page is at /")
        try:
            return _json(await route(await _read(request)))
        except KeyError as missing:
            return _error(400, f"{missing.args[0]!r} is missing")
        except (ValueError, TypeError) as wrong:
            return _error(400, str(wrong))

    def _show_page(self) -> web.Response:
        """Serve the page. The nonce keeps any other script out, should a text ever slip into the markup."""
        if self._page is None:
            self._page = PAGE.read_text(encoding="utf-8")
        nonce = secrets.token_urlsafe(16)
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
            "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src data:"
        )
        headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        return web.Response(text=self._page.replace("{{nonce}}", nonce), content_type="text/html", headers=headers)

    # what people do

    async def _state(self, _ask: Ask) -> Any:
        bots = [_describe(bot) for bot in self._sandbox.bots.values()]
        return {"bots": bots, "faults": self._sandbox.faults.describe(), "kinds": sorted(BOT_KINDS)}

    async def _add_bot(self, ask: Ask) -> Any:
        bot = self._sandbox.add_bot(ask.get("token"), username=ask.get("username"), name=ask.get("name"))
        return {**_describe(bot), "token": bot.token}

    async def _say(self, ask: Ask) -> Any:
        """Let a person write: a text, a file, or a file with a text as its caption."""
        bot = self._bot(ask)
        given = {name: ask[name] for name in _SAY if ask.get(name) is not None}
        if ask.get("file") is not None:
            given["more"] = {**given.get("more", {}), **sent(bot, ask["file"])}
        text = "" if given.get("more") and not ask.get("text") else _words(ask, "text")
        update_id = bot.say(_whole(ask, "chat_id"), text, **given)
        return {"update_id": update_id, "message_id": bot.next_message_id - 1}

    async def _press(self, ask: Ask) -> Any:
        given = {name: ask[name] for name in _PRESS if ask.get(name) is not None}
        bot, chat_id = self._bot(ask), _whole(ask, "chat_id")
        if ask.get("words") is not None:
            return {"update_id": bot.press_words(chat_id, _words(ask, "words"), **given)}
        return {"update_id": bot.press(chat_id, _whole(ask, "message_id"), ask["data"], **given)}

    async def _edit(self, ask: Ask) -> Any:
        given = {name: ask[name] for name in _EDIT if ask.get(name) is not None}
        bot, chat_id = self._bot(ask), _whole(ask, "chat_id")
        return {"update_id": bot.edit(chat_id, _whole(ask, "message_id"), _words(ask, "text"), **given)}

    async def _member(self, ask: Ask) -> Any:
        """Let people block the bot, or take it into groups and throw it out: `is` says what it becomes."""
        bot, chat_id = self._bot(ask), _whole(ask, "chat_id")
        become = {
            "blocked": bot.block,
            "unblocked": lambda chat_id: bot.block(chat_id, blocked=False),
            "member": bot.join,
            "removed": bot.leave,
        }.get(_words(ask, "is"))
        if become is None:
            raise ValueError("'is' must be blocked, unblocked, member or removed")
        return {"update_id": become(chat_id)}

    async def _migrate(self, ask: Ask) -> Any:
        self._bot(ask).migrate(_whole(ask, "chat_id"), _whole(ask, "to"))
        return {"chat_id": _whole(ask, "to")}

    async def _push(self, ask: Ask) -> Any:
        update = ask["update"]
        if not isinstance(update, dict):
            raise TypeError("'update' must be an object")
        return {"update_id": self._bot(ask).push(update)}

    async def _jump(self, ask: Ask) -> Any:
        bot = self._bot(ask)
        bot.jump_ids(_whole(ask, "delta"))
        return {"next_id": bot.updates.next_id}

    async def _messages(self, ask: Ask) -> Any:
        """Lines of a bot after a number; with timeout the request waits until there is one."""
        bot = self._bot(ask)
        after = _whole(ask, "after", 0)
        chat_id = _whole(ask, "chat_id", 0)

        def news() -> list[Any]:
            return _lines_after(bot, after, chat_id)

        await self._wait(ask, lambda: bot.news.until(lambda: bool(news())))
        lines = news()
        last = lines[MAX_LINES - 1]["number"] if len(lines) > MAX_LINES else bot.line_count
        return {"lines": lines[:MAX_LINES], "last": last}

    # what tests do

    async def _fail(self, ask: Ask) -> Any:
        times = ask.get("times", 1)
        self._faults(ask).fail(
            _words(ask, "method"),
            _words(ask, "kind"),
            None if times is None else _whole(ask, "times", 1),
            after=_whole(ask, "after", 0),
            chat_id=_whole(ask, "chat_id") if ask.get("chat_id") is not None else None,
            **(ask.get("options") or {}),
        )
        return {"faults": self._faults(ask).describe()}

    async def _list_faults(self, ask: Ask) -> Any:
        faults = self._faults(ask)
        return {"faults": faults.describe(), "hits": dict(faults.hits), "kinds": sorted(BOT_KINDS | MODEL_KINDS)}

    async def _clear(self, ask: Ask) -> Any:
        self._faults(ask).clear()
        return {"faults": []}

    async def _release(self, ask: Ask) -> Any:
        return {"released": self._faults(ask).release(str(ask.get("method", ANY)))}

    async def _reached(self, ask: Ask) -> Any:
        """Wait until count requests of a method were struck, at most timeout seconds."""
        faults = self._faults(ask)
        method = str(ask.get("method", ANY))
        count = _whole(ask, "count", 1)
        await self._wait(ask, lambda: faults.reached(method, count))
        return {"reached": faults.struck(method) >= count, "count": faults.struck(method)}

    # finding things

    async def _wait(self, ask: Ask, wait: Callable[[], Awaitable[None]]) -> None:
        timeout_s = min(float(ask.get("timeout", 0) or 0), MAX_WAIT_S)
        if timeout_s > 0:
            with self._sandbox.clock.deadline(timeout_s):
                await wait()
        else:
            await anyio.lowlevel.checkpoint()

    def _bot(self, ask: Ask) -> SandboxBot:
        bot = self._sandbox.find_bot(str(ask["bot"]))
        if bot is None:
            raise ValueError("no such bot; /sandbox/state lists them")
        return bot

    def _faults(self, ask: Ask) -> Faults:
        match str(ask.get("bot", ANY)):
            case "*":
                return self._sandbox.faults
            case "model":
                return self._sandbox.model.faults
        return self._bot(ask).faults


_SAY: Final = (
    "user_id", "topic_id", "chat_type", "date", "name", "language", "title", "username", "reply_to", "more",
)  # fmt: skip
_EDIT: Final = ("user_id", "topic_id", "name")
_PRESS: Final = ("user_id", "language")


def _describe(bot: SandboxBot) -> dict[str, Any]:
    chats = [{"id": chat.id, "type": chat.type, "name": chat.name} for chat in bot.chats.values()]
    return {
        "id": bot.id,
        "username": bot.username,
        "name": bot.name,
        "polled": bot.polled,
        "pending": bot.pending,
        "acknowledged": bot.acknowledged,
        "conflicts": bot.conflicts,
        "sent": bot.sent_count,
        "calls": dict(bot.calls),
        "chats": chats[-MAX_LINES:],
        "faults": bot.faults.describe(),
    }


def _lines_after(bot: SandboxBot, after: int, chat_id: int) -> list[dict[str, Any]]:
    """Return kept lines with a number beyond after, oldest first, of one chat (0 = all)."""
    if not bot.lines or bot.line_count <= after:
        return []
    # numbers have no gaps within what is kept, so the place follows from the number
    start = max(0, after + 1 - bot.lines[0].number)
    return [line._asdict() for line in bot.lines[start:] if not chat_id or line.chat_id == chat_id]


def _whole(ask: Ask, name: str, default: int | None = None) -> int:
    value = ask.get(name, default) if default is not None else ask[name]
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name!r} must be a whole number") from None


def _words(ask: Ask, name: str) -> str:
    value = ask[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name!r} must be text")
    return value


async def _read(request: web.BaseRequest) -> Ask:
    query = dict(parse_qsl(request.raw_path.partition("?")[2]))
    if not request.can_read_body:
        return query
    body = json.loads(await request.read())
    if not isinstance(body, dict):
        raise TypeError("the body must be a JSON object")
    return {**query, **body}


def _foreign(request: web.BaseRequest) -> web.Response | None:
    """Refuse what a page of another origin could send."""
    headers = request.headers
    origin = headers.get("Origin")
    if origin is not None and origin != f"http://{headers.get('Host')}":
        return _error(403, "only the sandbox's own page may ask")
    if headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"} and request.method != "GET":
        return _error(403, "only the sandbox's own page may ask")
    if request.method == "POST" and not headers.get("Content-Type", "").startswith("application/json"):
        return _error(415, "send JSON (Content-Type: application/json)")
    return None


def _json(value: Any, status: int = 200) -> web.Response:
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return web.Response(text=dump(value), status=status, content_type="application/json", headers=headers)


def _error(status: int, text: str) -> web.Response:
    return _json({"error": text}, status)
