"""The Bot API's way of answering: `{"ok": true, "result": …}` or a refusal with a code and a sentence."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

JSON = "application/json"
HTML = "text/html"
TEXT = "text/plain"


class Reply(NamedTuple):
    """What goes back over HTTP. retry_after in seconds becomes a header; 0 = none."""

    status: int
    body: bytes
    content_type: str = JSON
    retry_after: int = 0


class Refused(Exception):
    """The Bot API says no. retry_after in seconds, for floods; migrate_to is the number a group goes on under."""

    def __init__(self, code: int, description: str, *, retry_after: int = 0, migrate_to: int = 0) -> None:
        super().__init__(description)
        self.migrate_to = migrate_to
        self.code = code
        self.description = description
        self.retry_after = retry_after


TRUE = Reply(200, b'{"ok":true,"result":true}')
EMPTY_LIST = Reply(200, b'{"ok":true,"result":[]}')


def dump(value: Any) -> str:
    """Write JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def accepted(result: Any) -> Reply:
    """Wrap a result."""
    return accepted_json(dump(result))


def accepted_json(result: str) -> Reply:
    """Wrap a result that is JSON text already. A lone surrogate (a client's half emoji) is answered as the server does: "?"."""
    return Reply(200, f'{{"ok":true,"result":{result}}}'.encode(errors="replace"))


def refused(refusal: Refused) -> Reply:
    """Word a refusal as the server does, with `parameters.retry_after` for floods."""
    answer: dict[str, Any] = {"ok": False, "error_code": refusal.code, "description": refusal.description}
    if refusal.retry_after:
        answer["parameters"] = {"retry_after": refusal.retry_after}
    if refusal.migrate_to:
        answer["parameters"] = {"migrate_to_chat_id": refusal.migrate_to}
    return Reply(refusal.code, dump(answer).encode(), retry_after=refusal.retry_after)


def bad_request(description: str) -> Refused:
    """Make the commonest refusal."""
    return Refused(400, f"Bad Request: {description}")


def flooded(retry_after: int) -> Refused:
    """Make the refusal of a client that is too fast."""
    return Refused(429, f"Too Many Requests: retry after {retry_after}", retry_after=retry_after)
