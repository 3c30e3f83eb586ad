"""One bot's screens over a real fleet: overview, conversations, metrics, configuration, editor, try it, add."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList, TextArea

from console.runtime import Fleet
from console.tui.panels.conversations import ConversationsPanel
from console.tui.screens.edit import EditScreen
from tests.tui.consoles import console, running_fleet, screen_text, seen, told
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleet]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with running_fleet(tmp_path / "f", "poet", "shop") as running:
        yield running


def file(fleet: Fleet, bot_id: str) -> Path:
    return fleet.place.root / "bots" / f"{bot_id}.toml"


async def say(fleet: Fleet, bot_id: str, *texts: str, session: str = "s") -> None:
    for text in texts:
        await fleet.control.say(bot_id, text, session=session, actor="test")


async def test_the_overview_says_why_and_by_whom(fleet: Fleet) -> None:
    """Phase with its reason, who wanted it and why, conditions, generation; how it answers; the keys 1 to 8 change the panel."""
    await fleet.pool.stop("poet", actor="cli:anna", reason="holiday")
    async with console(fleet.control, size=(140, 40)) as pilot:
        pilot.app.open_bot("poet")
        await seen(pilot, "1 overview", "stopped", "anna (cli): holiday", "the newest is live", "bots/poet.toml")
        await seen(pilot, "model         echo", "the last messages", "when the answer is whole", "access        open")
        for key, word in (
            ("2", "Nobody has written"),
            ("3", "[1 h]"),
            ("4", "following"),
            ("5", "following"),
            ("6", "[llm]"),
            ("7", "Nobody is listed"),
            ("8", "[7 d]"),
        ):
            await pilot.press(key)
            await seen(pilot, word)
        await pilot.press("escape")
        await eventually(lambda: len(pilot.app.screen_stack) == 2)


async def test_a_bad_edit_stands_in_overview_and_configuration(fleet: Fleet) -> None:
    """The rejected edit with line and column; what runs on is shown with its origins, secrets masked."""
    file(fleet, "poet").write_text('channel = "none"\n[llm]\nprovider = "echo"\napi_key = "sk-very-secret-key"\n')
    await fleet.reloader.reload(patient=False)
    file(fleet, "poet").write_text("naem = 1\n")
    await fleet.reloader.reload(patient=False)
    async with console(fleet.control, size=(100, 80)) as pilot:
        pilot.app.open_bot("poet")
        await seen(pilot, "rejected", "poet.toml:1:1")
        await pilot.press("6")
        await seen(pilot, "The last edit was rejected", 'provider = "echo"', "bots/poet.toml:3", "default")
        assert "very-secret" not in screen_text(pilot)


async def test_conversations_are_listed_and_read(fleet: Fleet) -> None:
    """The last spoken in first; the chosen one as a chat that grows while it is read; a search finds what was said."""
    await say(fleet, "poet", "an older word", session="old")
    await say(fleet, "poet", "hello \x1b[31mthere", session="new")
    async with console(fleet.control, size=(120, 30)) as pilot:
        pilot.app.open_bot("poet", "conversations")
        await seen(pilot, "you", "hello \\x1b[31mthere", "person", "poet")
        await say(fleet, "poet", "one more", session="new")
        await seen(pilot, "one more")
        await pilot.press("slash", *"older", "enter")
        await seen(pilot, "an older word")
        await eventually(lambda: "one more" not in screen_text(pilot))


async def test_a_list_that_becomes_shorter_is_no_mistake(fleet: Fleet) -> None:
    """What the cursor was on when the list was read anew may not be there any more."""
    await say(fleet, "poet", "one", session="one")
    await say(fleet, "poet", "two", session="two")
    async with console(fleet.control, size=(120, 30)) as pilot:
        pilot.app.open_bot("poet", "conversations")
        await seen(pilot, "← one", "← two")
        panel = pilot.app.screen.query_one(ConversationsPanel)
        panel.query_one(OptionList).highlighted = 1
        panel._take_rows(panel._rows[:1])
        await pilot.pause()
        await seen(pilot, "← two")


async def test_metrics_are_drawn_from_what_was_counted(fleet: Fleet) -> None:
    """Lines with axes and readable values; ← and → change the time looked at."""
    for _ in range(30):
        fleet.metrics.count("poet", "messages")
        fleet.metrics.observe("poet", "turn_s", 0.5)
    async with console(fleet.control, size=(120, 40)) as pilot:
        pilot.app.open_bot("poet", "metrics")
        await seen(pilot, "messages/min", "in 30 (max 30)", "1 h ago", "p95", "500ms")
        await pilot.press("right")
        await seen(pilot, "[24 h]", "24 h ago")
        await pilot.press("left")
        await seen(pilot, "[1 h]")


async def test_try_it_answers_without_telegram(fleet: Fleet) -> None:
    """The answer with its tokens and model; the same again after an edit, in a conversation of its own."""
    async with console(fleet.control) as pilot:
        await pilot.press("t", *"ping", "enter")
        await seen(pilot, "you", "ping", "echo")
        await pilot.press("ctrl+r")
        await seen(pilot, "ping")
        await eventually(lambda: _conversations(fleet, "poet", 2))


async def _conversations(fleet: Fleet, bot_id: str, count: int) -> bool:
    rows = await fleet.control.conversations(bot_id)
    return len(rows) == count and all(row["operator"] for row in rows)


# --- editing -------------------------------------------------------------------------------------------------------


async def editing(pilot: Any) -> TextArea:
    await pilot.press("i")
    await eventually(
        lambda: isinstance(pilot.app.screen, EditScreen) and not pilot.app.screen.query_one(TextArea).disabled
    )
    area: TextArea = pilot.app.screen.query_one(TextArea)
    return area


async def test_an_edit_is_checked_while_typing_and_reviewed_before_saving(fleet: Fleet) -> None:
    """A mistake with its place; once mended, what it disturbs; the diff; then the file is saved and live."""
    async with console(fleet.control) as pilot:
        area = await editing(pilot)
        area.load_text(area.text + 'temperature = "hot"\n')
        await seen(pilot, "poet.toml:4:15", "hot")
        await pilot.press("ctrl+s")
        await told(pilot, "not saved")
        assert "hot" not in file(fleet, "poet").read_text()
        area.load_text(area.text.replace('"hot"', "0.5"))
        await seen(pilot, "takes effect with the next turn")
        await pilot.press("ctrl+s")
        await seen(pilot, "+temperature = 0.5", "Save")
        await pilot.press("right", "enter")
        await told(pilot, "saved: poet")
        assert file(fleet, "poet").read_text().endswith("temperature = 0.5\n")
        spec = fleet.spec("poet")
        assert spec is not None
        assert spec.config.llm.temperature == 0.5


async def test_the_file_all_bots_share_is_edited_alike(fleet: Fleet) -> None:
    """`I` opens fleet.toml: a mistake with its place; what it changes of the fleet and of which bots; then it is live."""
    async with console(fleet.control, size=(140, 40)) as pilot:
        await pilot.press("I")
        await eventually(
            lambda: isinstance(pilot.app.screen, EditScreen) and not pilot.app.screen.query_one(TextArea).disabled
        )
        area: TextArea = pilot.app.screen.query_one(TextArea)
        before = area.text
        area.load_text(f"{before}[strat]\n")
        await seen(pilot, "fleet.toml:5:2", "strat")
        more = '[defaults.prompts]\nsystem = "Be brief."\n'
        area.load_text(f"{before}[retention]\nlogs_days = 3\n{more}")
        await seen(pilot, "changes retention.logs_days at once", "changes 2 bots with the next turn (poet, shop)")
        await pilot.press("ctrl+s")
        await seen(pilot, "+system =")
        await pilot.press("tab", "enter")
        await told(pilot, "saved: fleet.toml")
        assert fleet.snapshot.fleet.retention.logs_days == 3
        spec = fleet.spec("poet")
        assert spec is not None
        assert spec.config.prompts.system == "Be brief."


async def test_a_file_changed_meanwhile_is_not_overwritten(fleet: Fleet) -> None:
    """Somebody else's edit stays, and what was typed stays too."""
    async with console(fleet.control) as pilot:
        area = await editing(pilot)
        area.load_text(area.text + "temperature = 0.5\n")
        theirs = file(fleet, "poet").read_text() + "temperature = 0.1\n"
        file(fleet, "poet").write_text(theirs)
        await seen(pilot, "next turn")
        await pilot.press("ctrl+s")
        await seen(pilot, "Save")
        await pilot.press("right", "enter")
        await told(pilot, "changed meanwhile")
        assert file(fleet, "poet").read_text() == theirs
        assert "0.5" in area.text


async def test_leaving_an_edit_asks_first(fleet: Fleet) -> None:
    """Nothing typed: at once. Something typed: the hasty answer goes on editing."""
    async with console(fleet.control) as pilot:
        await editing(pilot)
        await pilot.press("escape")
        await eventually(lambda: not isinstance(pilot.app.screen, EditScreen))
        area = await editing(pilot)
        area.load_text("x = 1\n")
        await pilot.press("escape")
        await seen(pilot, "not saved", "Go on editing")
        await pilot.press("enter")
        await eventually(lambda: isinstance(pilot.app.screen, EditScreen))
        assert area.text == "x = 1\n"


# --- adding --------------------------------------------------------------------------------------------------------


async def test_a_bot_is_added_from_a_short_form(fleet: Fleet) -> None:
    """A token typed in full goes into .env, the file names it, the fleet starts the bot; nothing is shown in clear."""
    token = "123456789:" + "a" * 35
    async with console(fleet.control, size=(100, 34)) as pilot:
        await pilot.press("a")
        await seen(pilot, "Name", "Token")
        await pilot.press("ctrl+s")
        await seen(pilot, "at most 50 characters")
        screen = pilot.app.screen
        screen.query_one("#bot_id", Input).value = "sales"
        screen.query_one("#token", Input).value = token
        screen.query_one("#verify").value = False  # type: ignore[attr-defined]
        screen.query_one("#provider").value = "echo"  # type: ignore[attr-defined]
        await pilot.pause()
        assert token not in screen_text(pilot)
        await pilot.press("ctrl+s")
        await told(pilot, "added: sales")
    assert "${SALES_TOKEN}" in file(fleet, "sales").read_text()
    assert token not in file(fleet, "sales").read_text()
    assert f"SALES_TOKEN={token}" in (fleet.place.root / ".env").read_text()
    assert "sales" in fleet.pool.bot_ids()


async def test_a_token_nobody_could_be_asked_about_keeps_what_was_typed(fleet: Fleet, tmp_path: Path) -> None:
    """What failed and the way on stand in the form; no file is written until it is added unasked."""
    (fleet.place.root / "fleet.toml").write_text(
        '[fleet]\nname = "ours"\n[defaults.telegram]\nbase_url = "http://127.0.0.1:1/bot"\n'
    )
    await fleet.reloader.reload(patient=False)
    async with console(fleet.control, size=(100, 34)) as pilot:
        await pilot.press("a")
        screen = pilot.app.screen
        await eventually(lambda: screen.query("#token"))
        screen.query_one("#bot_id", Input).value = "sales"
        screen.query_one("#token", Input).value = "123456789:" + "a" * 35
        screen.query_one("#provider").value = "echo"  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.press("ctrl+s")
        await seen(pilot, "cannot be reached: 127.0.0.1:1: no connection", "without the tick at getMe")
        assert screen.query_one("#bot_id", Input).value == "sales"
        assert not file(fleet, "sales").exists()
        screen.query_one("#verify").value = False  # type: ignore[attr-defined]
        await pilot.press("ctrl+s")
        await told(pilot, "added: sales")
    assert file(fleet, "sales").exists()


async def test_looking_only_changes_nothing(fleet: Fleet) -> None:
    """--readonly: editing, adding and trying are refused with the reason."""
    async with console(fleet.control, readonly=True) as pilot:
        for key in "iatE":
            await pilot.press(key)
        await told(pilot, "only looks")
        assert len(pilot.app.screen_stack) == 2
