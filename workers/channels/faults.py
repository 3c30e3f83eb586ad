"""What goes wrong at the Bot API, told apart once: the one door from telegram.error and the wire to workers.errors.

telegram.error.TelegramError
├── Refused            the server answered with a refusal: code, description, parameters
└── NetworkError       (with TimedOut below it, python-telegram-bot's own) the request left, no answer came
    ├── Unsent         the request never left: no name, no connection, no trusted certificate
    ├── TooLate        likewise no answer, because time ran out (also a TimedOut)
    └── Garbage        an answer came that is no Bot API answer
        └── TooLarge   it was not even read to its end
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    EndPointNotFound,
    Forbidden,
    InvalidToken,
    NetworkError,
    TelegramError,
    TimedOut,
)

from workers.channels.nesting import shallow
from workers.encoding import decoded
from workers.errors import (
    ChannelError,
    ChannelUnreachable,
    RateLimited,
    SendRefused,
    SendUncertain,
    TokenInUse,
    TokenRejected,
)
from workers.logbook import visible
from workers.redaction import Redactor

DEFAULT_RETRY_S: Final = 5
"""Patience when a 429 does not say how much."""

SHORTEST_RETRY_S: Final = 1
LONGEST_RETRY_S: Final = 86_400
_LONGEST_TEXT: Final = 300
_LONGEST_NUMBER: Final = 4000
"""Digits of a whole number; Python refuses to read more than 4,300."""
_LONGEST_READ: Final = 8192
"""Characters of a server's words that are looked through for secrets."""

_RETRY: Final = re.compile(r"retry (?:after|in) (\d{1,9})", re.IGNORECASE)
_CODES: Final = (
    (InvalidToken, 401),
    (EndPointNotFound, 404),
    (Forbidden, 403),
    (Conflict, 409),
    (BadRequest, 400),
)


class Refused(TelegramError):
    """The server answered and said no."""

    __slots__ = ("code", "description", "parameters")

    def __init__(self, code: int, description: str, parameters: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code} {description}")
        self.code = code
        self.description = description
        self.parameters = parameters or {}

    @property
    def retry_after_s(self) -> float:
        """How long the server asks to wait, in seconds; a sane number whatever it said."""
        asked = self.parameters.get("retry_after")
        if type(asked) is float and math.isfinite(asked):
            asked = math.ceil(asked)
        if type(asked) is not int:
            found = _RETRY.search(self.description)
            asked = int(found[1]) if found else DEFAULT_RETRY_S
        return float(min(max(asked, SHORTEST_RETRY_S), LONGEST_RETRY_S))


class Unsent(NetworkError):
    """The request never left this machine whole: trying again is safe, for sends too."""

    __slots__ = ()


class TooLate(TimedOut):
    """The request left and no answer came in time."""

    __slots__ = ()


class Garbage(NetworkError):
    """Something answered that does not speak the Bot API."""

    __slots__ = ("status",)

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text or f"an answer (HTTP {status}) that is no Bot API answer")
        self.status = status


class TooLarge(Garbage):
    """An answer longer than any of the Bot API, of which only the beginning was kept."""

    __slots__ = ("head",)

    def __init__(self, status: int, head: bytes) -> None:
        super().__init__(status, f"an answer (HTTP {status}) larger than a Bot API answer may be")
        self.head = head


def result_of(status: int, payload: bytes) -> Any:
    """Return `result` of a Bot API answer. Raises Refused or Garbage."""
    answer = _object(payload)
    if answer is not None and answer.get("ok") is True and 200 <= status < 300 and "result" in answer:
        return answer["result"]
    raise refusal_of(status, answer)


def check_answer(status: int, payload: bytes) -> None:
    """Raise Refused or Garbage for an answer that is no success by its status."""
    if not 200 <= status < 300:
        raise refusal_of(status, _object(payload))


def refusal_of(status: int, answer: dict[str, Any] | None) -> TelegramError:
    """Return the error an answer stands for; answer None = it was no JSON object."""
    if answer is None or answer.get("ok") is not False:
        # A gateway's own 429 comes as a page, and means what it says.
        return Refused(429, "Too Many Requests") if status == 429 else Garbage(status)
    code, description, parameters = answer.get("error_code"), answer.get("description"), answer.get("parameters")
    return Refused(
        code if type(code) is int else status,
        description if isinstance(description, str) else "no reason given",
        parameters if isinstance(parameters, dict) else None,
    )


def _object(payload: bytes) -> dict[str, Any] | None:
    # Outside the handler nothing refers to the payload any more: it may echo the request, and so the token.
    try:
        answer = decoded(payload)
    except (ValueError, RecursionError):
        answer = _leniently(payload)
    return answer if isinstance(answer, dict) else None


def _leniently(payload: bytes) -> Any:
    """Return what an answer says but for bytes that are no UTF-8, numbers too long for Python and values nested too
    deeply; None for no JSON.

    One such update, refused with its whole batch, would keep all later ones from ever being fetched.
    """
    text = payload.decode("utf-8", "replace")
    for form in (str, shallow):
        try:
            return json.loads(form(text), parse_int=_whole)
        except RecursionError:
            continue
        except ValueError:
            return None
    return None


def _whole(digits: str) -> float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)


def channel_error(
    error: TelegramError, token: str, *, sending: bool, clean: Callable[[str], str] = str
) -> ChannelError:
    """Turn any error of the Bot API or its wire into the channel's own, free of the token and of what clean takes out.

    sending tells whether doing it twice would be seen: for reads everything unclear is ChannelUnreachable.
    """
    refused = as_refused(error)
    if refused is not None:
        make = _refused_send if sending else _refused_read
        return make(refused, scrub(refused.description, token, clean))
    text = scrub(error.message, token, clean)
    if not sending or isinstance(error, Unsent):
        return _unreachable(text)
    if isinstance(error, Garbage) and 300 <= error.status < 500:
        # A gateway answered in Telegram's place: what stands behind it has not seen the request.
        return _unreachable(text)
    return SendUncertain(f"whether Telegram took the message is unknown: {text}")


def as_refused(error: TelegramError) -> Refused | None:
    """Return a server's refusal in one form, whoever made it; None when the server said nothing."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, ChatMigrated):
        return Refused(400, error.message, {"migrate_to_chat_id": error.new_chat_id})
    for kind, code in _CODES:
        if isinstance(error, kind):
            return Refused(code, error.message)
    found = _RETRY.search(error.message)  # RetryAfter: its attribute warns of deprecation, its text holds the same
    return Refused(429, error.message) if found else None


def _unreachable(text: str) -> ChannelUnreachable:
    return ChannelUnreachable(f"Telegram cannot be reached: {text}", "check telegram.base_url and the network")


def _refused_read(refused: Refused, text: str) -> ChannelError:
    if refused.code in {401, 404}:
        return _token_rejected(refused.code, text)
    if refused.code == 409:
        return _token_in_use(text)
    if refused.code == 429:
        return _rate_limited(refused)
    return ChannelUnreachable(f"Telegram answered {refused.code}: {text}")


def _refused_send(refused: Refused, text: str) -> ChannelError:
    if refused.code in {401, 404}:
        return _token_rejected(refused.code, text)
    if refused.code == 429:
        return _rate_limited(refused)
    if refused.code >= 500:
        # The server gives 5xx for queries it was working on too ("restart"), and a gateway gives it when the
        # backend had the request but did not answer in time. Calling that "not done" would be a guess that
        # doubles messages unseen; as uncertain it is counted, and `telegram.ambiguous_send` decides.
        return SendUncertain(f"whether Telegram took the message is unknown: it answered {refused.code}: {text}")
    if refused.code == 409:
        return ChannelUnreachable(f"Telegram answered 409: {text}")
    return SendRefused(f"Telegram refuses the message: {refused.code} {text}", gone=refused.code == 403)


def _token_rejected(code: int, text: str) -> TokenRejected:
    return TokenRejected(
        f"Telegram does not know the bot's token: {code} {text}",
        "check telegram.token; @BotFather shows the current one",
    )


def _token_in_use(text: str) -> TokenInUse:
    if "webhook" in text.lower():
        return TokenInUse(
            f"a webhook is set for this token, so its updates go elsewhere: 409 {text}",
            "remove it with deleteWebhook, or give this bot a token of its own",
        )
    return TokenInUse(
        f"another program polls with this token: 409 {text}",
        "stop the other program, or give this bot a token of its own",
    )


def _rate_limited(refused: Refused) -> RateLimited:
    return RateLimited(f"Telegram asks to wait {refused.retry_after_s:g} s (429)", refused.retry_after_s)


def scrub(text: str, token: str, clean: Callable[[str], str] = str) -> str:
    """Return a server's words fit to be shown: one line, not long, nothing in it that steers a terminal, without the token
    or anything shaped like one.
    """
    own = Redactor((token, token.partition(":")[2])).clean
    # Cut last: half a token is one too. What is cut off before is so long that no mask brings its edge into sight.
    return visible(" ".join(clean(own(text[:_LONGEST_READ])).split()))[:_LONGEST_TEXT]
