"""Answers while they are made, through every Control: followed by the operator who asked, and seen by who looks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from console.attach import RemoteControl
from console.control import Control, Saying
from console.errors import BadRequest, ShuttingDown
from console.runtime import Fleet
from console.sandbox.server import Sandbox
from tests.console.holding import give_tool
from tests.waiting import eventually
from workers.errors import NoSuchBot, WrongPhase

pytestmark = pytest.mark.anyio

LONG = " ".join(f"word {number} of a long answer," for number in range(6))


async def use(fleet: Fleet, bot_id: str, more: str) -> None:
    """Give a bot further keys."""
    path = fleet.place.root / "bots" / f"{bot_id}.toml"
    path.write_text(path.read_text() + more)
    await fleet.reloader.reload(patient=False)
    await eventually(lambda: fleet.pool.bot(bot_id).observed_generation == fleet.pool.bot(bot_id).generation)


@pytest.fixture
async def let_go(fleet: Fleet, tmp_path: Path) -> AsyncIterator[Path]:
    """Give alpha a tool that runs until this file is there; "do hold" calls it."""
    give_tool(fleet.place.root, "alpha", tmp_path / "go")
    await use(fleet, "alpha", "")
    yield tmp_path / "go"
    (tmp_path / "go").touch()


async def followed(frames: AsyncIterator[Saying]) -> tuple[list[str], Saying]:
    """Return what stood on the screen after each frame, and the last one."""
    shown, text = list[str](), ""
    async with aclosing(frames) as coming:  # type: ignore[type-var]
        async for frame in coming:
            text = text[: frame["keep"]] + frame["more"]
            shown.append(text)
            last = frame
    return shown, last


async def test_an_answer_is_followed_while_it_grows(control: Control, fleet: Fleet) -> None:
    """Each frame shows more of the answer; the last one is whole, with what it took, and it is remembered."""
    await use(fleet, "alpha", "[llm.options]\npiece_delay_s = 0.05\n")
    shown, last = await followed(control.saying("alpha", LONG, session="s", actor="test:ana"))
    assert len(shown) > 2
    assert all(LONG.startswith(text) for text in shown)
    assert shown == sorted(set(shown[:-1]), key=len) + shown[-1:]
    said = last["said"]
    assert said is not None
    assert (said["text"], said["error"], said["provider"], said["model"]) == (LONG, "", "echo", "echo")
    assert said["tokens_in"] > 0
    [row] = await control.conversations("alpha")
    assert (row["conversation_id"], row["turns"], row["user_id"]) == ("operator:s", 1, "test:ana")


async def test_tools_are_shown_as_they_run(control: Control, let_go: Path) -> None:
    """A tool that runs is told before it has ended, and then how long it took."""
    tools: list[Any] = []
    async with aclosing(control.saying("alpha", "do hold", session="s", actor="t")) as frames:  # type: ignore[type-var]
        async for frame in frames:
            tools.append([(run["tool"], run["running"], run["error"]) for run in frame["tools"]])
            let_go.touch()
    assert tools[0] == [("hold", True, "")]
    assert tools[-1] == [("hold", False, "")]
    assert frame["said"] is not None
    assert frame["said"]["text"] == "let go"


async def test_who_is_being_answered_is_told(control: Control, double: Sandbox, let_go: Path) -> None:
    """People and operators, for how long, and the tool that runs for them; nobody once they have their answers."""
    assert await control.answering("alpha") == []
    bot = double.find_bot("alpha_bot")
    assert bot is not None
    bot.say(501, "do hold")
    asking = asyncio.ensure_future(control.say("alpha", "do hold", session="s", actor="t"))

    async def rows() -> dict[str, Any]:
        found = await control.answering("alpha")
        return {row["conversation_id"]: row for row in found if row["tools"]}

    await eventually(lambda: _long(rows(), 2))
    found = await rows()
    assert {name: row["operator"] for name, row in found.items()} == {"501": False, "operator:s": True}
    assert all(row["tools"][0]["tool"] == "hold" and row["age_s"] > 0 for row in found.values())
    assert await control.answering("beta") == []
    let_go.touch()
    assert (await asking)["text"] == "let go"
    await eventually(lambda: _long(control.answering("alpha"), 0))
    with pytest.raises(NoSuchBot):
        await control.answering("nobody")


async def _long(asked: Any, count: int) -> bool:
    return len(await asked) == count


async def test_how_much_is_written_is_told(control: Control, fleet: Fleet, double: Sandbox) -> None:
    """Of an answer that is streamed, to a chat or to an operator, how long it is by now."""
    await use(fleet, "alpha", '[reply]\nstream = "edit"\n[llm.options]\npiece_delay_s = 0.05\n')
    bot = double.find_bot("alpha_bot")
    assert bot is not None
    bot.say(501, LONG)
    async with aclosing(control.saying("alpha", LONG, session="s", actor="t")) as frames:  # type: ignore[type-var]
        await anext(frames)
        found = {row["conversation_id"]: row["characters"] for row in await control.answering("alpha")}
    assert found.keys() == {"501", "operator:s"}
    assert all(0 < characters <= len(LONG) for characters in found.values())


@pytest.mark.parametrize("way", ["say", "saying"])
async def test_who_leaves_stops_nothing(control: Control, fleet: Fleet, let_go: Path, way: str) -> None:
    """An answer nobody waits for any more is remembered and counted all the same."""
    if way == "saying":
        async with aclosing(control.saying("alpha", "do hold", session="s", actor="t")) as frames:  # type: ignore[type-var]
            await anext(frames)
    else:
        asking = asyncio.ensure_future(control.say("alpha", "do hold", session="s", actor="t"))
        await eventually(lambda: _long(control.answering("alpha"), 1))
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    let_go.touch()
    await eventually(lambda: _long(control.conversations("alpha"), 1))
    assert (await control.conversations("alpha"))[0]["last_text"] == "let go"
    assert fleet.metrics.figures.today("alpha")[0] > 0


async def test_a_key_names_one_question(control: Control) -> None:
    """Asked again under its key, also after its answer, a question is followed from the beginning and not asked twice."""
    asked = [await followed(control.saying("alpha", "hello", session="s", actor="t", key="k1")) for _ in range(2)]
    assert [last["said"]["text"] for _, last in asked if last["said"]] == ["hello", "hello"]
    await followed(control.saying("alpha", "hello", session="s", actor="t", key="k2"))
    [row] = await control.conversations("alpha")
    assert row["turns"] == 2


async def test_what_cannot_be_asked_is_refused(control: Control, fleet: Fleet) -> None:
    """As `say` refuses it, before there is anything to follow."""
    for bot_id, text, session, error in (
        ("gamma", "hello", "s", WrongPhase),
        ("nobody", "hello", "s", NoSuchBot),
        ("alpha", " ", "s", BadRequest),
        ("alpha", "hello", "", BadRequest),
    ):
        with pytest.raises(error):
            await followed(control.saying(bot_id, text, session=session, actor="t"))
    fleet.control.closing = True
    with pytest.raises(ShuttingDown):
        await followed(control.saying("alpha", "hello", session="s", actor="t"))


async def test_an_answer_the_end_of_the_fleet_cuts_off_is_said(control: Control, fleet: Fleet, let_go: Path) -> None:
    """Whoever follows it is told that none will come, in the class every Control knows it by."""
    with pytest.raises(ShuttingDown, match="ended before"):
        async with aclosing(control.saying("alpha", "do hold", session="s", actor="t")) as frames:  # type: ignore[type-var]
            async for _ in frames:
                fleet.control.give_up_inquiries()
    assert await control.conversations("alpha") == []


async def test_a_removed_bot_answers_nothing_more(control: Control, fleet: Fleet, let_go: Path) -> None:
    """What was asked of it is given up before its rows go: none comes after them."""
    with pytest.raises(ShuttingDown):
        async with aclosing(control.saying("alpha", "do hold", session="s", actor="t")) as frames:  # type: ignore[type-var]
            await anext(frames)
            await control.remove_bot("alpha", actor="t")
            let_go.touch()
            await anext(frames)
    await fleet.settle("nobody")
    assert "alpha" not in await fleet.store.bot_ids()


@asynccontextmanager
async def cutting(fleet: Fleet, path: Path) -> AsyncIterator[RemoteControl]:
    """A control whose first connection on which an answer grows breaks in the middle of it."""
    cut = list[bool]()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_fleet, from_fleet = await asyncio.open_unix_connection(fleet.owner.socket)
        asked = await reader.read(65536)
        from_fleet.write(asked)
        while data := await to_fleet.read(65536):
            writer.write(data)
            if b"/saying" in asked and b'"keep"' in data and not cut:
                cut.append(True)
                break
        for end in (writer, from_fleet):
            end.close()

    server = await asyncio.start_unix_server(carry, str(path))
    try:
        yield RemoteControl(path)
    finally:
        server.close()
    assert cut


async def test_a_cut_link_is_mended_without_asking_twice(fleet: Fleet, tmp_path: Path) -> None:
    """The answer is followed again from its beginning: nothing of it is lost, and the model was asked once."""
    await use(fleet, "alpha", "[llm.options]\npiece_delay_s = 0.05\n")
    await eventually(lambda: Path(fleet.owner.socket).exists())
    async with cutting(fleet, tmp_path / "s") as control:
        shown, last = await followed(control.saying("alpha", LONG, session="s", actor="t"))
        assert all(LONG.startswith(text) for text in shown)
        assert last["said"] is not None
        assert last["said"]["text"] == LONG
        [row] = await control.conversations("alpha")
        assert row["turns"] == 1


async def test_an_older_fleet_gives_the_whole_answer_at_once(
    control: Control, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fleet that cannot tell how an answer grows is asked as it always was."""
    await use(fleet, "alpha", "[llm.options]\npiece_delay_s = 0.05\n")
    monkeypatch.setattr("console.local.MORE", ("say",))
    shown, last = await followed(control.saying("alpha", LONG, session="s", actor="t"))
    assert last["said"] is not None
    assert last["said"]["text"] == LONG
    assert len(shown) == 1 or control is fleet.control
