"""The fleet screen over a real fleet: moving, marking, filtering, and giving orders."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from textual.strip import Strip

from config.vocabulary import Phase
from console.control import EventQuery
from console.runtime import Fleet
from console.tui.app import Leave
from console.tui.memory import Memory
from console.tui.widgets.fleet_list import FleetList
from tests.tui.consoles import console, running_fleet, screen_text, seen, toasts, told
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f", "poet", "shop", "support") as running:
        yield running


def phase(fleet: Fleet, bot_id: str) -> Phase:
    return fleet.pool.bot(bot_id).phase


async def test_the_fleet_is_shown_and_kept_up_to_date(fleet: Fleet) -> None:
    """Every bot with its phase; what changes is seen without a key."""
    async with console(fleet.control) as pilot:
        await seen(pilot, "ours LOCAL", "● 3 running", "poet", "shop", "support")
        await fleet.pool.stop("shop", actor="test")
        await seen(pilot, "■ 1 stopped", "■ stopped     shop")


async def test_the_highlight_stays_with_its_bot(fleet: Fleet) -> None:
    """An order given by key reaches the bot that was highlighted, whatever moved meanwhile."""
    async with console(fleet.control) as pilot:
        fleets = pilot.app.screen.query_one(FleetList)
        await pilot.press("j", "j")
        assert fleets.bot_id == "support"
        fleets.moved_at = -100.0
        await fleet.pool.stop("poet", actor="test")
        await eventually(lambda: pilot.app.model.index[-1] == "poet")
        assert fleets.bot_id == "support"
        await pilot.press("R")
        await told(pilot, "restarted: support")
        assert [event["bot_id"] for event in await fleet.control.events(EventQuery(kinds=("OperatorActed",)))] == [
            "poet", "support",
        ]  # fmt: skip


async def test_a_line_is_made_again_only_when_it_shows_something_else(fleet: Fleet) -> None:
    """A key makes the line it leaves and the one it comes to, a mark its own; another theme makes all of them."""
    async with console(fleet.control) as pilot:
        fleets = pilot.app.screen.query_one(FleetList)
        await seen(pilot, "poet", "support")

        def lines() -> list[Strip]:
            return [fleets.render_line(y) for y in range(1, 4)]

        await pilot.press("j")
        before = lines()
        await pilot.press("j")
        after = lines()
        assert after[0] is before[0]
        assert after[1].text == before[1].text
        assert after[1] != before[1]
        assert after[2] != before[2]
        await pilot.press("asterisk")
        assert all(line.text.startswith("✓") for line in lines())
        marked = lines()
        await pilot.press("ctrl+t")
        assert not any(new is old for new, old in zip(lines(), marked, strict=True))


async def test_orders_to_marked_bots_are_confirmed_and_reported(fleet: Fleet) -> None:
    """The dialog lists the marked bots and begins on Cancel; both answers come, and the journal knows who asked."""
    async with console(fleet.control) as pilot:
        await pilot.press("space", "space", "slash", *"support", "enter", "x")
        await seen(pilot, "Stop 2 bots?", "poet, shop")
        await pilot.press("enter")
        await pilot.pause()
        assert toasts(pilot) == []
        await pilot.press("x", "right", "enter")
        await told(pilot, "stopping poet, shop")
        await told(pilot, "stopped: poet, shop")
        assert [phase(fleet, bot_id) for bot_id in ("poet", "shop", "support")] == ["stopped", "stopped", "running"]
        assert (await fleet.store.partition("poet").state.load()).desired_actor.startswith("console:")  # type: ignore[union-attr]
        await pilot.press("o")
        await told(pilot, "started: poet, shop")


async def test_a_refused_order_says_why(fleet: Fleet) -> None:
    """What a bot does not take is told with the reason."""
    (fleet.place.root / "bots" / "gamma.toml").write_text("naem = 1\n")
    await fleet.reloader.reload(patient=False)
    async with console(fleet.control) as pilot:
        await seen(pilot, "✖ invalid     gamma")
        await pilot.press("g", "p")
        await told(pilot, "pause gamma: ")


async def test_pause_is_shown_and_resumed(fleet: Fleet) -> None:
    """A paused bot says so in the list."""
    async with console(fleet.control) as pilot:
        await pilot.press("p")
        await seen(pilot, "‖ paused      poet")
        await pilot.press("P")
        await seen(pilot, "● running     poet")


async def test_readonly_gives_no_orders(fleet: Fleet) -> None:
    """With --readonly every order is refused with the reason."""
    async with console(fleet.control, readonly=True) as pilot:
        await seen(pilot, "READ ONLY")
        await pilot.press("x")
        await told(pilot, "Stop: this console only looks")
        await pilot.press("R", "asterisk", "D", "X", "r", "a")
        assert all("this console only looks" in toast for toast in toasts(pilot))
        assert len(toasts(pilot)) == 6


async def test_removing_asks_for_the_id_to_be_typed(fleet: Fleet) -> None:
    """Data goes only when the bot's id has been typed."""
    async with console(fleet.control) as pilot:
        await pilot.press("D", *"shop", "tab", "tab", "enter")
        await pilot.press("escape")
        assert "poet" in pilot.app.model.rows
        await pilot.press("D", *"poet", "enter", "enter")
        await told(pilot, "removed: poet")
        await eventually(lambda: "poet" not in pilot.app.model.rows)
        assert not (fleet.place.root / "bots" / "poet.toml").exists()


async def test_a_bot_is_exported_to_a_folder(fleet: Fleet, tmp_path: Path) -> None:
    """One file for each bot."""
    (tmp_path / "out").mkdir()
    async with console(fleet.control) as pilot:
        await pilot.press("X", "ctrl+u", *str(tmp_path / "out"), "enter")
        await told(pilot, "exported: poet")
    assert (tmp_path / "out" / "poet.botdeck").exists()


async def test_reload_reads_the_files_now(fleet: Fleet) -> None:
    """Both answers: that the files are read, and what that changed."""
    async with console(fleet.control) as pilot:
        (fleet.place.root / "bots" / "new.toml").write_text('channel = "none"\n')
        await pilot.press("r")
        await told(pilot, "files read: new")
        await seen(pilot, "new")


async def test_what_needs_somebody_is_told_by_itself(fleet: Fleet) -> None:
    """A refused edit comes up as a toast, wherever one is."""
    async with console(fleet.control) as pilot:
        await pilot.press("question_mark")

        async def refused() -> bool:
            path = fleet.place.root / "bots" / "poet.toml"
            path.write_text(f"channel = {len(path.read_text())}\n")
            await fleet.reloader.reload(patient=False)
            return any("poet: configuration rejected" in toast for toast in toasts(pilot))

        await eventually(refused)


async def test_the_glance_follows_the_highlight(fleet: Fleet) -> None:
    """Below the list stands the log of the highlighted bot, its events, or its figures."""
    logging.getLogger("workers.test").warning("written by the shop", extra={"bot_id": "shop"})
    async with console(fleet.control) as pilot:
        await seen(pilot, "poet log")
        await pilot.press("j")
        await seen(pilot, "shop log", "written by the shop")
        await pilot.press("2")
        await seen(pilot, "shop events", "ready")
        await pilot.press("3")
        await seen(pilot, "messages a minute")
        await pilot.press("0")
        await pilot.pause()
        assert "messages a minute" not in screen_text(pilot)


async def test_sort_filter_and_glance_are_remembered(fleet: Fleet, tmp_path: Path) -> None:
    """The next console of this fleet begins where this one ended."""
    memory = Memory(tmp_path / "memory")
    async with console(fleet.control, memory=memory) as pilot:
        await pilot.press("s", "s", "S", "3", "slash", *"sh", "enter", "escape", "ctrl+t")
    async with console(fleet.control, memory=Memory(tmp_path / "memory")) as pilot:
        assert (pilot.app.model.sort, pilot.app.model.reverse, pilot.app.theme) == ("bot", True, "botdeck-contrast")
        await eventually(lambda: pilot.app.model.index == ["support", "shop", "poet"])
        await seen(pilot, "messages a minute")
        await pilot.press("slash", "up")
        await seen(pilot, "filter sh")
        assert pilot.app.model.index == ["shop"]


async def test_the_mouse_highlights_sorts_and_scrolls(fleet: Fleet) -> None:
    """A click on a bot highlights it, on a head sorts by it, once more turns it round."""
    async with console(fleet.control) as pilot:
        fleets = pilot.app.screen.query_one(FleetList)
        await pilot.click(FleetList, offset=(20, 2))
        assert fleets.bot_id == "shop"
        await pilot.click(FleetList, offset=(17, 0))
        assert (pilot.app.model.sort, pilot.app.model.index[0]) == ("bot", "poet")
        await pilot.click(FleetList, offset=(17, 0))
        assert pilot.app.model.index[0] == "support"


async def test_own_keys_replace_the_usual_ones(fleet: Fleet, tmp_path: Path) -> None:
    """keys.toml of the remembered folder counts; a bad line is told once."""
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "keys.toml").write_text('"bot.pause" = "f7"\n"bot.nap" = "f8"\n')
    async with console(fleet.control, memory=Memory(tmp_path / "memory")) as pilot:
        await told(pilot, "bot.nap is no action")
        await pilot.press("p")
        await pilot.press("f7")
        await told(pilot, "paused: poet")
        assert sum("pausing" in toast for toast in toasts(pilot)) == 1


async def test_quitting_a_local_console_asks_about_the_fleet(fleet: Fleet) -> None:
    """Cancel stays, detach and stop say how it was left; where it cannot detach that is not offered."""
    async with console(fleet.control, may_detach=False) as pilot:
        await pilot.press("q")
        await seen(pilot, "3 bots run in this process", "Stop all")
        assert "Detach" not in screen_text(pilot)
        await pilot.press("d")
        assert pilot.app.is_running
        await pilot.press("enter", "q", "s")
        await eventually(lambda: pilot.app.return_value is Leave.STOP)
    async with console(fleet.control) as pilot:
        await pilot.press("ctrl+q", "d")
        await eventually(lambda: pilot.app.return_value is Leave.DETACH)


async def test_an_attached_console_leaves_at_once(fleet: Fleet) -> None:
    """Nothing is asked, nothing stops."""
    async with console(fleet.control, attached=True) as pilot:
        await pilot.press("q")
        await eventually(lambda: pilot.app.return_value is Leave.DETACH)
    assert phase(fleet, "poet") == Phase.RUNNING


async def test_a_failing_task_is_told_and_the_console_goes_on(fleet: Fleet) -> None:
    """What goes wrong in the background is a toast, not the end."""

    async def fail() -> None:
        raise LookupError("nobody expected this")

    async with console(fleet.control) as pilot:
        pilot.app.run_worker(fail(), name="something", exit_on_error=False)
        await told(pilot, "something of the console failed: LookupError")
        await pilot.press("j")
        assert pilot.app.is_running
        assert pilot.app.failure is None


async def test_an_empty_fleet_and_an_empty_filter_have_their_faces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is nothing it is said why, and what to do."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f") as fleet, console(fleet.control) as pilot:
        await seen(pilot, "No bots yet", "press a to add one")
        (tmp_path / "f" / "bots" / "poet.toml").write_text('channel = "none"\n')
        await pilot.press("r")
        await seen(pilot, "poet")
        await pilot.press("slash", *"xyz")
        await seen(pilot, "No bot passes this filter")
        await pilot.press("escape")
        await seen(pilot, "poet")


async def test_a_large_terminal_shows_figures_beside_the_lines(fleet: Fleet) -> None:
    """At 200x50 the log has the figures and their charts beside it; events take the log's place, figures take both."""
    async with console(fleet.control, size=(200, 50)) as pilot:
        await seen(pilot, "poet log", "time of a turn", "messages/min", "turn time", "tokens/min")
        await pilot.press("2")
        await seen(pilot, "poet events", "time of a turn")
        await pilot.press("3")
        await eventually(lambda: "poet events" not in screen_text(pilot))
        await seen(pilot, "time of a turn", "turn time")
        await pilot.press("0")
        await eventually(lambda: "time of a turn" not in screen_text(pilot))
