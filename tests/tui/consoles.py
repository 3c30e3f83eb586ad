"""Consoles to be driven by tests: over a real fleet of this process, and over a fleet that was written down."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from config.vocabulary import Phase
from console.control import EventLine, EventQuery, LogLine, LogQuery
from console.errors import NoFleet
from console.runtime import Fleet, open_fleet
from console.tui.app import ConsoleApp
from console.tui.memory import Memory
from tests.tui.frames import NOW, condition, frame, row
from tests.waiting import eventually
from workers.clock import ManualClock


@asynccontextmanager
async def running_fleet(root: Path, *bot_ids: str) -> AsyncIterator[Fleet]:
    """Run bots that have no channel, so that nothing but the orders given to them happens."""
    (root / "bots").mkdir(parents=True, exist_ok=True)
    (root / "fleet.toml").write_text('[fleet]\nname = "ours"\n[start]\nrate_per_s = 0\n')
    for bot_id in bot_ids:
        (root / "bots" / f"{bot_id}.toml").write_text('channel = "none"\n[llm]\nprovider = "echo"\n')
    async with open_fleet(root, serve=False) as fleet:
        await eventually(lambda: all(status.phase == Phase.RUNNING for status in fleet.pool.bots()))
        yield fleet


class Hand(Pilot[Any]):
    """Presses keys as a pilot does; but what is typed into a field is typed fast, without a rest between two letters."""

    async def press(self, *keys: str) -> None:
        """Press keys, and wait until nothing more comes of the last."""
        for key, following in zip(keys, (*keys[1:], ""), strict=True):
            if len(key) == len(following) == 1 and isinstance(self.app.focused, (Input, TextArea)):
                self.app.post_message(events.Key(key if key.isalnum() else _character_to_key(key), key))
                await self._wait_for_screen()
            else:
                await super().press(key)


@asynccontextmanager
async def console(
    control: Any, *, size: tuple[int, int] = (100, 30), memory: Memory | None = None, **options: Any
) -> AsyncIterator[Pilot[Any]]:
    """Open a console over a control, with the first picture drawn."""
    app = ConsoleApp(control, **{"attached": False, "memory": memory or Memory(None), **options})
    async with app.run_test(size=size, notifications=True) as pilot:
        await eventually(lambda: app.model.fleet is not None)
        await pilot.pause()
        yield Hand(app)


def screen_text(pilot: Pilot[Any]) -> str:
    """Return what stands on the screen."""
    return "\n".join(strip.text.rstrip() for strip in pilot.app.screen._compositor.render_strips(pilot.app.size))


async def seen(pilot: Pilot[Any], *words: str) -> None:
    """Wait until all of the words stand on the screen."""

    def missing() -> list[str]:
        text = screen_text(pilot)
        return [word for word in words if word not in text]

    try:
        await eventually(lambda: not missing())
    except AssertionError:
        raise AssertionError(f"not seen: {missing()} in\n{screen_text(pilot)}") from None


def toasts(pilot: Pilot[Any]) -> list[str]:
    """Return what has been told in passing."""
    return [notification.message for notification in pilot.app._notifications]


async def told(pilot: Pilot[Any], word: str) -> None:
    """Wait until something has been told."""
    try:
        await eventually(lambda: any(word in toast for toast in toasts(pilot)))
    except AssertionError:
        raise AssertionError(f"not told: {word!r} in {toasts(pilot)}") from None


# --- a fleet that was written down ---------------------------------------------------------------------------------


class Played:
    """A Control that answers from what was written down: one frame, log lines, events; for pictures that stand still."""

    def __init__(self, first: Any, logs: Sequence[LogLine] = (), events: Sequence[EventLine] = ()) -> None:
        self.first = first
        self.log = list(logs)
        self.past = list(events)
        self.lost = anyio.Event()

    async def info(self) -> Any:
        capabilities = [
            "start", "stop", "restart", "pause", "resume", "reset", "reload", "partition", "edit", "say", "add", "wait",
        ]  # fmt: skip
        return {"api": "1.0", "version": "0.1.0", "start_id": "s", "capabilities": capabilities}

    async def feed(self) -> AsyncIterator[Any]:
        if not self.lost.is_set():
            yield self.first
            await self.lost.wait()
        raise NoFleet("the fleet demo does not run", "start it with `botdeck run`")

    async def logs(self, query: LogQuery) -> list[LogLine]:
        return [line for line in self.log if self._asked(query, line) and line["at"] < (query.before or 9e9)]

    async def events(self, query: EventQuery) -> list[EventLine]:
        lines = [line for line in self.past if self._asked(query, line) and line["at"] < (query.before or 9e9)]
        return lines[-query.tail :] if query.tail else []

    @staticmethod
    def _asked(query: Any, line: Any) -> bool:
        return not query.bots or line["bot_id"] in query.bots

    async def follow_logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        for line in await self.logs(query):
            yield line
        await anyio.sleep_forever()

    async def follow_events(self, query: EventQuery) -> AsyncIterator[EventLine]:
        for line in await self.events(query):
            yield line
        await anyio.sleep_forever()


def written_fleet() -> Played:
    """Return a small fleet with every kind of trouble, its log and its events."""
    busy = {"per_min": 14.0, "trend": [0, 2, 3, 1, 4, 6, 2, 1, 3, 5] * 2, "turn_p50_s": 0.61, "turn_p95_s": 1.42}
    started = {"bot_id": "poet", "at": NOW - 7300, "kind": "BotStarted", "data": {"generation": 1}, "actor": ""}
    rows = [
        row(
            "support",
            figures=busy | {"tokens_today": 48_210, "cost_today": 0.37},
            inbox_open=2,
            in_turn=1,
            since=NOW - 7300,
        ),
        row("poet", figures=busy | {"last_event": started, "tokens_today": 9_120}, since=NOW - 7300),
        row(
            "shop",
            conditions={"token_in_use": condition(True, "another program polls with this token")},
            since=NOW - 900,
        ),
        row(
            "travel", Phase.BACKOFF, phase_reason="RuntimeError: the timetable is closed", retry_at=NOW + 12, restarts=3
        ),
        row("billing", Phase.QUARANTINED, phase_reason="5 failures alike: KeyError: 'iban'", figures={"errors_1h": 5}),
        row("helpdesk", Phase.INVALID, phase_reason="Telegram does not know this token (401)", telegram=None),
        row("night", Phase.STOPPED, desired="stop", since=NOW - 90_000),
        row("quiz", paused=True, since=NOW - 3_000),
    ]
    texts = [
        ("info", "turn 17 answered in 0.61 s"),
        ("warning", "the model asked for patience: again in 2 s"),
        ("error", "no answer could be had"),
    ]
    logs: list[Any] = [
        {
            "bot_id": ("billing", "support", "poet")[n % 3],
            "at": NOW - 60 + n,
            "level": texts[n % 5 % 3][0],
            "logger": "workers.turn",
            "text": texts[n % 5 % 3][1],
            "exception": "Traceback\nKeyError: 'iban'" if texts[n % 5 % 3][0] == "error" else "",
        }
        for n in range(40)
    ]
    happened: list[tuple[str, str, dict[str, Any], str]] = [
        ("_fleet", "FleetStarted", {"pid": 7, "version": "0.1.0"}, ""),
        ("poet", "BotStarted", {"generation": 1}, ""),
        ("support", "ConfigApplied", {"keys": ["prompts.system"], "effect": "next turn", "generation": 2}, ""),
        ("night", "OperatorActed", {"action": "stop", "actor": "cli:anna", "reason": "holidays"}, "cli:anna"),
        ("billing", "BotFailed", {"error": "KeyError: 'iban'", "fingerprint": "f", "retry_in_s": 8}, ""),
        ("billing", "Quarantined", {"fingerprint": "KeyError at bank.py:12", "retry_in_s": 1800}, ""),
        ("shop", "TokenInUse", {"message": "another program polls with this token"}, ""),
    ]
    events: list[Any] = [
        {"bot_id": bot_id, "at": NOW - 700 + n * 100, "kind": kind, "data": data, "actor": by}
        for n, (bot_id, kind, data, by) in enumerate(happened)
    ]
    return Played(frame(*rows), logs, events)


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show times as in Greenwich."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def still(control: Any, *, clock: ManualClock | None = None, **options: Any) -> ConsoleApp:
    """Return a console whose time stands still."""
    app = ConsoleApp(
        control, **{"attached": True, "memory": Memory(None), "clock": clock or ManualClock(NOW), **options}
    )
    app.animation_level = "none"
    return app


Press = Callable[[Pilot[Any]], Any]
