"""The errors of the console, and the words every FleetError travels under between a client and a fleet.

FleetError
├── FleetOwned                another process owns the fleet (exit 75)
├── NoFleet                   no fleet runs here, or it does not answer (exit 4)
├── SocketUnusable            no place for the control socket
├── WrongVersion              the fleet speaks another version of the control protocol
├── ShuttingDown              the fleet is ending and takes no orders
├── BadRequest                what was asked makes no sense (exit 2)
├── Conflict                  somebody else was faster: what was asked rests on what is no more so
├── ReadOnly                  the console that asks has said that it only looks
├── NotAllowed                the peer is neither the owner nor root, or its key does not allow it
├── NoSuchKey                 no key of the HTTP API of that name (exit 4)
└── RemoteFailure             the fleet failed at what was asked, in a way this client does not know
"""

from __future__ import annotations

import re
from typing import Any, Final

from config.errors import ConfigError, FleetError
from console import exits
from store.errors import StoreCorrupt, StoreError, StoreFull, StoreUnavailable
from workers.errors import BotInvalid, NoSuchBot, WrongPhase


class FleetOwned(FleetError):
    """Another process owns the fleet."""

    exit_code = exits.OWNED


class NoFleet(FleetError):
    """No fleet runs here, or it does not answer."""

    exit_code = exits.UNKNOWN


class SocketUnusable(FleetError):
    """There is no safe place for the control socket."""


class WrongVersion(FleetError):
    """The fleet speaks another version of the control protocol."""


class ShuttingDown(FleetError):
    """The fleet is ending and takes no orders."""


class BadRequest(FleetError):
    """What was asked makes no sense."""

    exit_code = exits.USAGE


class Conflict(FleetError):
    """What was asked rests on something that somebody else has changed meanwhile."""


class ReadOnly(FleetError):
    """The client has said that it only looks."""


class NotAllowed(FleetError):
    """The peer is neither the fleet's owner nor root, or its key does not allow what was asked."""


class NoSuchKey(FleetError):
    """No key of the HTTP API has that name or id."""

    exit_code = exits.UNKNOWN


class RemoteFailure(FleetError):
    """The fleet failed at what was asked, in a way this client does not know."""


_TRAVELLING: Final[tuple[type[FleetError], ...]] = (
    ConfigError,
    StoreCorrupt,
    StoreFull,
    StoreUnavailable,
    StoreError,
    BotInvalid,
    NoSuchBot,
    WrongPhase,
    ShuttingDown,
    BadRequest,
    Conflict,
    ReadOnly,
    NotAllowed,
    NoSuchKey,
)


def _word(kind: type[FleetError]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


KINDS: Final[dict[str, type[FleetError]]] = {_word(kind): kind for kind in _TRAVELLING}
"""Word on the wire → class of the errors that keep their class on the way to a client."""


def word_of(error: FleetError) -> str:
    """Return the word of an error's nearest travelling class; "failure" when it has none."""
    return next((_word(kind) for kind in type(error).__mro__ if _word(kind) in KINDS), "failure")


def described(error: FleetError) -> dict[str, Any]:
    """Return {error, message, detail}: an error as JSON, without the moment."""
    return {"error": word_of(error), "message": error.message, "detail": error.hint}


def revived(answer: dict[str, Any]) -> FleetError:
    """Return the error a fleet described, in an answer or as `described` does."""
    detail = answer.get("detail")
    # A fleet of before 1.2 tells the word as `error` and the hint as `detail`, as a line of a stream does.
    word, hint = (detail.get("kind"), detail.get("hint")) if isinstance(detail, dict) else (answer.get("error"), detail)
    return KINDS.get(str(word), RemoteFailure)(str(answer.get("message", "the fleet failed")), str(hint or ""))
