"""What a bad bot does, what its operator is to be told, and what its neighbours may notice at most."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import anyio

from console.control import EventQuery, LogQuery
from tests.neighbours.street import BAD, Street
from tests.neighbours.unruly import STALL_S

BACKLOG: Final = 100_000
HUGE: Final = 1_000_000
SWELLING: Final = {"provider": "openai", "model": "swollen", "base_url": "{swelling}"}
ENDLESS: Final = {"provider": "openai", "model": "endless", "base_url": "{swelling}/endless"}
AFTER_STALL_S: Final = 1.0
"""What was said during a stall is answered behind it; so long its wake lasts."""

Span = tuple[float, float]


async def _nothing(place: Street) -> None:
    """Lay nothing ready."""


class Case(NamedTuple):
    """ready lays at the server what the bad bot will find there; deed begins once it runs, in every disturbed window, and
    returns the spans of the clock in which nobody can be answered. told returns the alarm; "" without one.
    """

    told: Callable[[Street], Awaitable[str]]
    ready: Callable[[Street], Awaitable[None]] = _nothing
    deed: Callable[[Street], Awaitable[list[Span]]] | None = None
    file: Mapping[str, Any] = {}


# --- deeds -------------------------------------------------------------------------------------------------------


def _say(count: int, text: str = "go", chats: int = 200) -> Callable[[Street], Awaitable[None]]:
    """Have people write so much while nobody is measured."""

    async def ready(place: Street) -> None:
        for number in range(count):
            place.bad.say(1 + number % chats, f"{number} {text}" if text != "go" else f"go {number}")
            if number % 100 == 0:
                await anyio.sleep(0)

    return ready


async def _block(place: Street) -> list[Span]:
    await anyio.sleep(1.0)
    began = time.perf_counter()
    place.bad.say(1, "go")
    return [(began, began + STALL_S + AFTER_STALL_S)]


def _all_at_once(count: int) -> Callable[[Street], Awaitable[list[Span]]]:
    """Have so many people write; in between the loop that takes the times gets its turn."""

    async def deed(place: Street) -> list[Span]:
        for number in range(count):
            place.bad.say(1 + number, f"go {number}")
            await anyio.sleep(0)
        return []

    return deed


async def _conflict(place: Street) -> None:
    place.bad.faults.fail("getUpdates", "conflict", times=None)
    place.bad.say(1, "wake up")


# --- alarms ------------------------------------------------------------------------------------------------------


def _event(*kinds: str) -> Callable[[Street], Awaitable[str]]:
    """Look for the last event of the bad bot of these kinds."""

    async def told(place: Street) -> str:
        found = await place.control.events(EventQuery(bots=(BAD,), kinds=kinds))
        return f"{found[-1]['kind']} {' '.join(str(v) for v in found[-1]['data'].values())}" if found else ""

    return told


async def _stalled(place: Street) -> str:
    said = await _event("LoopStalled")(place)
    return said if "unruly.py:" in said else ""


def _condition(name: str) -> Callable[[Street], Awaitable[str]]:
    async def told(place: Street) -> str:
        said = (await place.control.bot(BAD))["conditions"].get(name, {})
        return f"{name} {said.get('status')}: {said.get('reason')}" if said.get("reason") else ""

    return told


def _line(part: str) -> Callable[[Street], Awaitable[str]]:
    async def told(place: Street) -> str:
        lines = await place.control.logs(LogQuery(bots=(BAD,), tail=10_000))
        return next((f"log: {line['text']}" for line in reversed(lines) if part in line["text"]), "")

    return told


CASES: Final = {
    "stall": Case(_stalled, deed=_block, file={"llm": {"options": {"does": "spin"}}}),
    "backlog": Case(_line("behind"), _say(BACKLOG, "old")),
    "swell": Case(_line("was cut to"), deed=_all_at_once(60), file={"llm": SWELLING}),
    "endless": Case(_event("TurnFailed"), deed=_all_at_once(60), file={"llm": ENDLESS}),
    "gush": Case(_event("TurnFailed"), deed=_all_at_once(60), file={"llm": ENDLESS, "reply": {"stream": "edit"}}),
    "drown": Case(_line("was cut to"), _say(200, "y" * HUGE, chats=40)),
    "silent": Case(_condition("polling"), _say(2000), file={"llm": {"timeout_s": 600.0, "options": {"does": "hang"}}}),
    "crash": Case(
        _event("Quarantined", "BotFailed", "MessagePoisoned"),
        deed=_all_at_once(100),
        file={"llm": {"options": {"does": "crash"}}},
    ),
    "conflict": Case(_condition("token_in_use"), _conflict),
}
