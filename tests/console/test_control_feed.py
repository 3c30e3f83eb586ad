"""The feed of every Control: a whole picture first, then what changes, whoever reads how slowly."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import anyio
import pytest

from config.vocabulary import Condition, Phase
from console.answers import Frame
from console.control import Action, Control
from console.feed import alike
from console.runtime import Fleet, open_fleet
from console.sandbox.server import Sandbox
from tests.console.talking import talk
from tests.fleet_process import write_bot
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

WAIT_S = 20.0


class Reader:
    """Someone who follows a feed, and keeps the picture as a console does."""

    def __init__(self, feed: Any) -> None:
        self.feed = feed
        self.frames: list[Frame] = []
        self.rows: dict[str, Any] = {}

    async def next(self) -> Frame:
        """Take the next frame in."""
        with anyio.fail_after(WAIT_S):
            frame: Frame = await anext(self.feed)
        if frame["full"]:
            self.rows = {}
        self.rows |= {row["bot_id"]: row for row in frame["bots"]}
        for bot_id in frame["gone"]:
            self.rows.pop(bot_id, None)
        self.frames.append(frame)
        return frame

    async def until(self, condition: Callable[[], Any]) -> None:
        """Read until something is so."""
        with anyio.fail_after(WAIT_S):
            while not condition():
                await self.next()


def throttled(reader: Reader) -> str:
    """Return why gamma is throttled, as a reader knows it."""
    return str(reader.rows["gamma"]["conditions"].get(Condition.THROTTLED, {}).get("reason", ""))


@pytest.fixture
async def reader(control: Control) -> AsyncIterator[Reader]:
    async with aclosing(control.feed()) as feed:  # type: ignore[type-var]
        yield Reader(feed)


async def test_the_first_frame_is_the_whole_fleet(reader: Reader, fleet: Fleet) -> None:
    """Every bot, the bad one too, in order, with what the fleet is and does."""
    frame = await reader.next()
    assert (frame["rev"], frame["full"], frame["gone"]) == (1, True, [])
    assert frame["start_id"] == fleet.owner.start_id
    assert [row["bot_id"] for row in frame["bots"]] == ["alpha", "beta", "gamma"]
    assert [row["phase"] for row in frame["bots"]] == ["running", "running", "invalid"]
    assert frame["fleet"]["name"] == "ours"
    figures = frame["bots"][0]["figures"]
    assert len(figures["trend"]) == 20
    assert (figures["errors_1h"], figures["tokens_today"], figures["cost_today"]) == (0, 0, 0)
    assert figures["last_event"] is not None
    assert figures["last_event"]["kind"] == "BotStarted"


async def test_only_what_changed_comes_later(reader: Reader, fleet: Fleet) -> None:
    """A change of one bot brings its row; frames are numbered without gap; a bot that did not change is left out."""
    await reader.next()
    conditions = fleet.pool._keepers["gamma"].record.conditions
    conditions.set(Condition.MODEL_REACHABLE, False, "for the test")
    await reader.until(lambda: Condition.MODEL_REACHABLE in reader.rows["gamma"]["conditions"])
    assert reader.rows["gamma"]["conditions"][Condition.MODEL_REACHABLE]["reason"] == "for the test"
    assert [frame["rev"] for frame in reader.frames] == list(range(1, len(reader.frames) + 1))
    assert not any(frame["full"] for frame in reader.frames[1:])
    told = [row["bot_id"] for frame in reader.frames[1:] for row in frame["bots"]]
    assert told.count("gamma") == 1


async def test_conditions_alone_disturb_nothing_else(fleet: Fleet) -> None:
    """A row whose conditions changed keeps all it had; where the record says anything else, the whole bot is looked at."""
    record = fleet.pool._keepers["gamma"].record
    async with aclosing(fleet.control.feed()) as feed:  # type: ignore[type-var]
        reader = Reader(feed)
        await reader.next()
        for number in range(1, 50):  # every bot is looked at as a whole now and then, whatever happens to it
            before = reader.rows["gamma"]
            record.outbox_open = number
            record.conditions.set(Condition.THROTTLED, True, str(number))
            await reader.until(lambda said=str(number): throttled(reader) == said)
            after = reader.rows["gamma"]
            if after["figures"] is before["figures"]:
                break
        assert (after["figures"] is before["figures"], after["outbox_open"]) == (True, before["outbox_open"])
        assert throttled(reader) != before["conditions"].get(Condition.THROTTLED, {}).get("reason"), (
            "others read that row"
        )
        record.restarts += 1
        record.conditions.set(Condition.THROTTLED, True, "two")
        await reader.until(lambda: throttled(reader) == "two")
        assert (reader.rows["gamma"]["restarts"], reader.rows["gamma"]["outbox_open"]) == (record.restarts, number)


async def test_what_people_say_is_counted(reader: Reader, double: Sandbox) -> None:
    """Messages, tokens of today and the turn's time are in the bot's row and in the fleet's sums."""
    await reader.next()
    await talk(double, "alpha_bot", "hello there")
    await reader.until(lambda: reader.rows["alpha"]["figures"]["tokens_today"])
    figures = reader.rows["alpha"]["figures"]
    assert sum(figures["trend"]) == 1
    assert figures["per_min"] == 1
    assert figures["turn_p95_s"] is not None
    assert figures["cost_today"] == 0
    assert figures["last_event"]["kind"] == "BotStarted", "a message is not worth showing"
    await reader.until(lambda: reader.frames[-1]["fleet"]["figures"]["tokens_today"] == figures["tokens_today"])


async def test_bots_come_and_go(reader: Reader, fleet: Fleet, double: Sandbox) -> None:
    """A new file is a new row, a removed bot is named as gone, and one that comes back is there again."""
    await reader.next()
    path = write_bot(fleet.place.root, "delta", double.add_bot(username="delta_bot").token, double.base_url)
    await fleet.control.reload(actor="test")
    await reader.until(lambda: reader.rows.get("delta", {}).get("phase") == "running")
    text = path.read_text()
    await fleet.control.remove_bot("delta", actor="test")
    await reader.until(lambda: "delta" not in reader.rows)
    path.write_text(text)
    await fleet.control.reload(actor="test")
    await reader.until(lambda: reader.rows.get("delta", {}).get("phase") == "running")


async def test_a_bot_replaced_between_two_frames_is_there(fleet: Fleet, double: Sandbox) -> None:
    """A reader that misses both its going and its coming back sees it, and is not told that it is gone."""
    token = double.add_bot(username="delta_bot").token
    path = write_bot(fleet.place.root, "delta", token, double.base_url)
    await fleet.control.reload(actor="test")
    async with aclosing(fleet.control.feed()) as feed, aclosing(fleet.control.feed()) as other:  # type: ignore[type-var]
        slow, quick, text = Reader(feed), Reader(other), path.read_text()
        await slow.next()
        await quick.next()
        await fleet.control.remove_bot("delta", actor="test")
        await quick.until(lambda: "delta" not in quick.rows)
        path.write_text(text)
        await fleet.control.reload(actor="test")
        await quick.until(lambda: "delta" in quick.rows)
        frame = await slow.next()
        assert "delta" not in frame["gone"]
        assert "delta" in {row["bot_id"] for row in frame["bots"]}


async def test_a_slow_reader_misses_nothing_another_has_seen(fleet: Fleet) -> None:
    """What changes while one reader holds a frame is in its next one, though others have looked meanwhile; in one row."""
    conditions = fleet.pool._keepers["gamma"].record.conditions
    async with aclosing(fleet.control.feed()) as feed, aclosing(fleet.control.feed()) as other:  # type: ignore[type-var]
        slow, quick = Reader(feed), Reader(other)
        await slow.next()
        await quick.next()
        for reason in ("one", "two", "three"):
            conditions.set(Condition.THROTTLED, True, reason)
            await quick.until(lambda: throttled(quick) == reason)  # noqa: B023 (asked at once)
        await slow.next()
        assert throttled(slow) == "three"
        assert [row["bot_id"] for row in slow.frames[-1]["bots"]].count("gamma") == 1


async def test_a_reader_that_leaves_takes_nothing_from_the_others(fleet: Fleet) -> None:
    """The second goes on hearing events when the first, who came before, has left; a third begins with what is so now."""
    async with aclosing(fleet.control.feed()) as other:  # type: ignore[type-var]
        second = Reader(other)
        async with aclosing(fleet.control.feed()) as feed:  # type: ignore[type-var]
            await Reader(feed).next()
            await second.next()
        await fleet.control.steer(Action.PAUSE, ["alpha"], actor="ana")
        await second.until(lambda: second.rows["alpha"]["figures"]["last_event"]["kind"] == "OperatorActed")
    await fleet.control.steer(Action.STOP, ["alpha"], actor="ben")
    await fleet.control.wait(["alpha"], [Phase.STOPPED], timeout_s=WAIT_S)
    async with aclosing(fleet.control.feed()) as feed:  # type: ignore[type-var]
        [alpha, *_] = (await Reader(feed).next())["bots"]
        assert (alpha["phase"], alpha["desired_actor"]) == ("stopped", "ben")
        assert alpha["figures"]["last_event"]["kind"] == "BotStopped"


async def test_a_console_that_comes_back_sees_what_is_so_now(fleet: Fleet) -> None:
    """Nothing of the picture of an earlier reader is left in the first frame of the next one."""
    record = fleet.pool._keepers["gamma"].record
    async with aclosing(fleet.control.feed()) as feed:  # type: ignore[type-var]
        await Reader(feed).next()
    record.outbox_open = 7
    async with aclosing(fleet.control.feed()) as feed:  # type: ignore[type-var]
        frame = await Reader(feed).next()
    assert frame["bots"][2]["outbox_open"] == 7


async def test_ages_are_never_older_than_five_seconds(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes without any event is told within 5 s of the fleet's clock; a fleet at rest is heard every 5 s."""
    clock = ManualClock()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    for number in range(50):
        (tmp_path / "bots").mkdir(exist_ok=True)
        (tmp_path / "bots" / f"b{number}.toml").write_text('channel = "none"\nenabled = false\n')
    async with (
        open_fleet(tmp_path, clock=clock, serve=False) as fleet,
        aclosing(fleet.control.feed()) as feed,  # type: ignore[type-var]
    ):
        reader, heard = Reader(feed), []
        await reader.next()

        async def follow() -> None:
            while True:
                await reader.next()
                heard.append(clock.monotonic())

        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            for number in range(50):
                fleet.pool._keepers[f"b{number}"].record.outbox_open = 3
            began = clock.monotonic()
            await clock.advance(5.0)
            assert {row["outbox_open"] for row in reader.rows.values()} == {3}
            await clock.advance(30)
            moments = [began, *heard, clock.monotonic()]
            assert max(later - before for before, later in pairwise(moments)) <= 5.0
            assert len([at for at in heard if at > began + 5.0]) <= 8, "a fleet at rest is not chattered about"
            group.cancel_scope.cancel()


async def test_the_lag_of_the_loop_alone_is_no_news(fleet: Fleet) -> None:
    """It never stands still: a fleet at rest is not told four times a second for it; anything else is told."""
    async with aclosing(fleet.control.feed()) as feed:  # type: ignore[type-var]
        before = (await Reader(feed).next())["fleet"]
    assert not alike(before, None)
    assert alike({**before, "figures": {**before["figures"], "loop_lag_ms": 99.0}}, before)
    assert not alike({**before, "figures": {**before["figures"], "errors_1h": 99}}, before)
    assert not alike({**before, "held": True}, before)


async def test_another_start_has_another_start_id(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A console that comes back after a restart sees by start_id that everything is to be taken anew."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots" / "b.toml").write_text('channel = "none"\n')
    seen = []
    for _ in range(2):
        async with open_fleet(tmp_path, serve=False) as fleet, aclosing(fleet.control.feed()) as feed:  # type: ignore[type-var]
            frame = await Reader(feed).next()
            seen.append((frame["start_id"], frame["rev"], frame["full"]))
    assert seen[0][0] != seen[1][0]
    assert seen[1][1:] == (1, True)
