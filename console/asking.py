"""How commands reach a fleet: over its socket when it runs, else by reading (or, locked, writing) its database."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from console.errors import BadRequest, NoFleet
from console.place import Place, find

if TYPE_CHECKING:
    from console.attach import RemoteControl
    from console.offline import Offline

T = TypeVar("T")

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def ask(root: Path, environment: str | None, question: Callable[[RemoteControl], Awaitable[T]]) -> T:
    """Ask the running fleet of a folder. Raises NoFleet when none runs, ConfigError when the folder is no fleet."""
    import anyio

    place = find(root, environment)

    async def asking() -> T:
        from console.attach import connect

        return await question(await connect(place))

    return anyio.run(asking)


def ask_either(
    root: Path,
    environment: str | None,
    running: Callable[[RemoteControl], Awaitable[T]],
    resting: Callable[[Offline], Awaitable[T]],
) -> T:
    """Ask the running fleet, or the database of one that does not run. Raises ConfigError, and what both raise.

    A fleet that runs but does not answer is an error: its database is not read behind its back.
    """
    import anyio

    place = find(root, environment)

    async def asking() -> T:
        from console.lock import owner_of

        if owner_of(place.database) is not None:
            from console.attach import connect

            return await running(await connect(place))
        from console.offline import Offline

        return await resting(Offline(place))

    return anyio.run(asking)


def not_running(place: Place) -> NoFleet:
    """Return the sentence for a fleet that does not run."""
    return NoFleet(f"the fleet {place.name} does not run", f"start it with `botdeck run -C {place.root}`")


def actor() -> str:
    """Return who sits at the command line, for the journal."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"cli:{os.getuid()}"


def moment(text: str, now: float) -> float:
    """Return the Unix time of "10m" (ago), or of an ISO date and time (local when it names no zone).

    Raises BadRequest.
    """
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if found:
        return now - int(found[1]) * _UNITS[found[2]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise BadRequest(f"{text!r} is no moment", "write 90s, 10m, 2h, 3d, or 2026-01-31T18:00") from None
