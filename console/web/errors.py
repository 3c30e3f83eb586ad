"""Errors on the wire: a status code, and always {"error", "message", "detail", "timestamp"}.

`error` is the name of a class below, `detail` an object: `hint` says what to do, `kind` is the word our own programs know the
error by, `request_id` finds it in the log. The cause of what is our own failure is never sent: it is logged.

APIError                    500 or what its subclass says
├── AuthenticationError       401 no key, or one that is not good
├── PermissionDeniedError     403 the key, or the place it is used from, does not allow it
├── NotFoundError             404
│   ├── BotNotFoundError
│   └── ConversationNotFoundError
├── ConflictError             409 it rests on what is no more so
├── ValidationError           422 what was sent makes no sense
├── RateLimitError            429 with Retry-After
├── UnavailableError          503 the fleet ends, or its disk refuses
├── TurnFailedError           502 the model gave no answer; why is logged
├── BotCreationError          500 a bot could not be made
└── ConfigurationError        500 a bot's stored configuration is bad
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from config.errors import ConfigError, FleetError
from console.errors import BadRequest, Conflict, NoSuchKey, NotAllowed, ReadOnly, ShuttingDown, word_of
from console.web import dialect
from store.errors import StoreFull, StoreUnavailable
from workers import errors as workers
from workers.clock import SystemClock

logger = logging.getLogger(__name__)


class APIError(FleetError):
    """An error as a caller sees it: the name of its class, a sentence, and what belongs to it.

    cause is for the log alone.
    """

    status: ClassVar[int] = 500
    kind: ClassVar[str] = "failure"

    def __init__(
        self, message: str, detail: Mapping[str, Any] | None = None, *, hint: str = "", cause: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.detail = dict(detail or {})
        self.cause = cause

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        return {}


class AuthenticationError(APIError):
    """No key came along, or one that is not good."""

    status = 401

    def __init__(self, message: str = "this needs a key that is good") -> None:
        super().__init__(message, hint="send Authorization: Bearer KEY; `botdeck key add` makes one")

    @property
    def headers(self) -> dict[str, str]:
        """The scheme that would do."""
        return {"www-authenticate": "Bearer"}


class PermissionDeniedError(APIError):
    """The key, or the place it is used from, does not allow it."""

    status = 403
    kind = "not_allowed"


class NotFoundError(APIError):
    """There is no such thing."""

    status = 404


class BotNotFoundError(NotFoundError):
    """No bot of that id."""

    kind = "no_such_bot"

    def __init__(self, bot_id: str, *, hint: str = "") -> None:
        super().__init__(f"no such bot: {bot_id}", {"bot_id": bot_id}, hint=hint)


class ConversationNotFoundError(NotFoundError):
    """No conversation of that id."""

    def __init__(self, conversation_id: str) -> None:
        super().__init__(f"no such conversation: {conversation_id}", {"conversation_id": conversation_id})


class ConflictError(APIError):
    """What was asked rests on what is no more so, or makes no sense at this moment."""

    status = 409
    kind = "conflict"


class ValidationError(APIError):
    """What was sent makes no sense."""

    status = 422
    kind = "bad_request"


class RateLimitError(APIError):
    """Too much was asked; worth another try after so many seconds."""

    status = 429

    def __init__(self, message: str, retry_after_s: float = 1.0, *, hint: str = "") -> None:
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        super().__init__(message, {"retry_after": self.retry_after_s}, hint=hint)

    @property
    def headers(self) -> dict[str, str]:
        """When to ask again."""
        return {"retry-after": str(self.retry_after_s)}


class UnavailableError(APIError):
    """The fleet ends, or cannot write."""

    status = 503
    kind = "store_unavailable"


class TurnFailedError(APIError):
    """The model gave no answer. Why is logged and not told; `text` is what a person may be told."""

    status = 502

    def __init__(self, text: str = "", cause: str = "") -> None:
        super().__init__("the model gave no answer", {"text": text}, hint="ask again later", cause=cause)


class BotCreationError(APIError):
    """A bot could not be made. Why is logged and not told."""

    def __init__(self, bot_id: str, cause: str = "") -> None:
        super().__init__(f"the bot {bot_id} could not be made", {"bot_id": bot_id}, cause=cause)


class ConfigurationError(APIError):
    """A bot's configuration, as it is stored, is bad. How is logged and not told."""

    def __init__(self, bot_id: str, cause: str = "") -> None:
        super().__init__(f"the configuration of {bot_id} is not good", {"bot_id": bot_id}, cause=cause)


FACES: Final[tuple[tuple[type[FleetError], type[APIError]], ...]] = (
    (workers.NoSuchBot, BotNotFoundError),
    (NoSuchKey, NotFoundError),
    (workers.WrongPhase, ConflictError),
    (workers.RateLimitError, RateLimitError),
    (workers.BotClosed, UnavailableError),
    (Conflict, ConflictError),
    (NotAllowed, PermissionDeniedError),
    (ReadOnly, PermissionDeniedError),
    (BadRequest, ValidationError),
    (ConfigError, ValidationError),
    (ShuttingDown, UnavailableError),
    (StoreFull, UnavailableError),
    (StoreUnavailable, UnavailableError),
)
"""What an error of the fleet is to a caller; APIError for the rest."""


def install(app: FastAPI) -> None:
    """Give every error of an application its form."""
    app.add_exception_handler(FleetError, _fleet_error)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unexpected)


def answer_of(request: Request, error: FleetError) -> JSONResponse:
    """Return an error as an answer. The cause of our own failure goes to the log, with the request's id."""
    if isinstance(error, workers.TurnFailedError):
        error = TurnFailedError(error.text, error.message)
    detail: dict[str, Any] = {"hint": error.hint}
    if isinstance(error, APIError):
        face, headers = type(error), error.headers
        detail |= {"kind": error.kind} | error.detail
    else:
        face, headers = _face(error), {}
        detail |= {"kind": word_of(error)} | _particulars(request, face)
    if isinstance(error, workers.RateLimitError):
        headers = RateLimitError("", error.retry_after_s).headers
    if face.status >= 500:
        cause = error.cause if isinstance(error, APIError) else ""
        logger.error("%s %s: %s %s", request.method, request.url.path, error, cause, exc_info=error.__cause__)
        detail["request_id"] = request_id_of(request)
    return _answer(request, face.status, face.__name__, error.message, detail, headers)


def _particulars(request: Request, face: type[APIError]) -> dict[str, Any]:
    bot_id = request.path_params.get("bot_id")
    return {"bot_id": bot_id} if face is BotNotFoundError and bot_id else {}


def _face(error: FleetError) -> type[APIError]:
    return next((face for kind, face in FACES if isinstance(error, kind)), APIError)


def _answer(
    request: Request,
    status: int,
    name: str,
    message: str,
    detail: dict[str, Any],
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    clock = getattr(getattr(request.scope.get("app"), "state", None), "clock", None) or SystemClock()
    at = datetime.fromtimestamp(clock.now(), tz=UTC).isoformat()
    body = {"error": name, "message": message, "detail": detail, "timestamp": at}
    if dialect.spoken_at(request.url.path):
        status, body = dialect.error_of(status, name, message, detail)
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def request_id_of(request: Request) -> str:
    """Return what a request is called in the log; empty where nobody has named it."""
    return str(request.scope.get("state", {}).get("request_id", ""))


async def _fleet_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FleetError)
    return answer_of(request, error)


async def _not_understood(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    mistakes = [{"where": ".".join(map(str, e["loc"])), "what": e["msg"]} for e in error.errors()]
    found = "; ".join(f"{mistake['where']}: {mistake['what']}" for mistake in mistakes)
    return answer_of(request, ValidationError(f"the request is not understood: {found}", {"mistakes": mistakes}))


async def http_error(request: Request, error: Exception) -> JSONResponse:
    """Return the answer to what the web framework refuses."""
    assert isinstance(error, HTTPException)
    face = NotFoundError if error.status_code == NotFoundError.status else APIError
    message = f"{request.method} {request.url.path}: {error.detail}"
    detail = {"hint": "", "kind": word_of(BadRequest(message))}
    return _answer(request, error.status_code, face.__name__, message, detail, error.headers)


async def unexpected(request: Request, error: Exception) -> JSONResponse:
    """Return the answer to a mistake of ours: the text of a stranger's exception may hold anything, and is not sent."""
    detail = {"hint": "the fleet's log says more", "kind": "failure", "request_id": request_id_of(request)}
    return _answer(request, 500, APIError.__name__, f"{type(error).__name__} in the fleet", detail)
