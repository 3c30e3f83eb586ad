"""What bots spent, in the console: of one bot and of the fleet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.errors import NoFleet
from console.runtime import Fleet
from console.tui.panels.usage import Spent, dollars, table, together
from store.usage import Tokens
from tests.tui.consoles import console, running_fleet, screen_text, seen

DAY_MS = 86_400_000


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f", "poet", "shop") as running:
        yield running


async def spend(fleet: Fleet, bot_id: str, model: str, cost_nano: int | None, *, days_ago: int = 0) -> None:
    tokens = Tokens("p", model, 1500, 200, 300, 0, cost_nano)
    now_ms = int(fleet.clock.now() * 1000) - days_ago * DAY_MS
    await fleet.store.partition(bot_id).usage.add("", "77", "501", tokens, now_ms)


def columns(text: str, first: str) -> list[str]:
    return next(line.split()[1:] for line in text.splitlines() if line.split()[:1] == [first])


@pytest.mark.anyio
async def test_a_bot_tells_what_it_spent(fleet: Fleet) -> None:
    """Nothing; then tokens in, cached and out with their cost, an unknown price said; other days and sums by key."""
    async with console(fleet.control, size=(100, 30)) as pilot:
        pilot.app.open_bot("poet", "usage")
        await seen(pilot, "[7 d]", "[day]", "Nothing was spent")
        await spend(fleet, "poet", "cheap", 2_000_000_000)
        await spend(fleet, "poet", "dear", None)
        await spend(fleet, "poet", "old", 1_000_000_000, days_ago=20)
        await pilot.press("right")
        await seen(pilot, "[30 d]", "3.0k", "$2.00 + ?", "price of 1 call is not known")
        assert columns(screen_text(pilot), "total") == ["3", "4.5k", "900", "600", "$3.00", "+", "?"]
        await pilot.press("left", "V")
        await seen(pilot, "[7 d]", "[model]", "cheap")
        assert columns(screen_text(pilot), "dear") == ["1", "1.5k", "300", "200", "unknown"]
        assert "old" not in screen_text(pilot).split()
        for by, key in (("user", "501"), ("chat", "77")):
            await pilot.press("V")
            await seen(pilot, f"[{by}]", key)


@pytest.mark.anyio
async def test_the_fleet_tells_what_it_spent(fleet: Fleet) -> None:
    """`$`: by bot first, then every bot's days and models together; of the marked bots alone where some are marked."""
    await spend(fleet, "poet", "cheap", 2_000_000_000)
    await spend(fleet, "shop", "cheap", 1_000_000_000)
    await spend(fleet, "shop", "dear", None)
    async with console(fleet.control, size=(100, 30)) as pilot:
        await pilot.press("dollar_sign")
        await seen(pilot, "the whole fleet", "[bot]", "shop", "$1.00 + ?")
        assert columns(screen_text(pilot), "poet") == ["1", "1.5k", "300", "200", "$2.00"]
        await pilot.press("V")
        await seen(pilot, "[model]", "dear")
        assert columns(screen_text(pilot), "cheap") == ["2", "3.0k", "600", "400", "$3.00"]
        await pilot.press("escape", "space", "dollar_sign")
        await seen(pilot, "what poet spent", "[day]")


@pytest.mark.anyio
async def test_usage_that_cannot_be_read_says_why(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fleet's own words stand where the table would."""
    async with console(fleet.control) as pilot:
        monkeypatch.setattr(fleet.control, "usage", _gone)
        await pilot.press("dollar_sign")
        await seen(pilot, "The usage cannot be read: it went away")


async def _gone(*_: Any, **__: Any) -> None:
    raise NoFleet("it went away", "")


def row(bot_id: str, key: str, tokens: int = 1, cost: float | None = None) -> dict[str, Any]:
    return {
        "bot_id": bot_id, "key": key, "calls": 1, "tokens_in": tokens, "tokens_out": 0, "tokens_cached": 0, "cost": cost,
        "unpriced": int(cost is None),
    }  # fmt: skip


def test_chats_of_several_bots_stay_apart() -> None:
    """The same number is another chat for another bot; days are one, the newest first."""
    rows = [row("a", "7"), row("b", "7", 5)]
    assert [(one.bot_id, one.key) for one in together(rows, "chat")] == [("b", "7"), ("a", "7")]
    assert "\na " in table(together(rows, "chat"), "chat", 90).plain
    days = together([row("a", "2025-06-09"), row("b", "2025-06-10"), row("a", "2025-06-10")], "day")
    assert [(one.key, one.calls) for one in days] == [("2025-06-10", 2), ("2025-06-09", 1)]


def test_an_unknown_price_is_never_zero() -> None:
    """Unknown, known in part, free, and too little to be written in full."""
    costs = [(None, 3), (1.5, 2), (0.0, 0), (0.00004, 0), (0.0123, 0)]
    shown = [dollars(Spent("", "", 1, 1, 0, 1, cost, unpriced)) for cost, unpriced in costs]
    assert shown == ["unknown", "$1.50 + ?", "$0", "<$0.001", "$0.012"]


def test_a_long_list_is_cut_but_its_sum_is_not() -> None:
    """What is left out is counted."""
    text = table(together([row("a", f"{n}", n) for n in range(1, 301)], "user"), "user", 80).plain
    assert "… and 100 more" in text
    assert "45.1k" in next(line for line in text.splitlines() if line.startswith("total"))
