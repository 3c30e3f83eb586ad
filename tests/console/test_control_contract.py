"""One suite over every Control: inside the fleet's process, and over its socket."""

from __future__ import annotations

import json
import logging
from contextlib import aclosing
from pathlib import Path

import anyio
import pytest

from config.vocabulary import Phase
from console.control import Action, Control, EventQuery, LogQuery
from console.errors import BadRequest
from console.runtime import Fleet
from console.sandbox.server import Sandbox
from store.errors import StoreError
from tests.console.talking import talk
from tests.waiting import eventually
from workers.errors import NoSuchBot

pytestmark = pytest.mark.anyio

WAIT_S = 20.0
ECHO = {"llm": {"provider": "echo"}}


async def test_info_names_the_process(control: Control, fleet: Fleet) -> None:
    """Who answers: the fleet, its pid and start, its protocol."""
    info = await control.info()
    assert (info["name"], info["pid"], info["start_id"]) == ("ours", fleet.owner.pid, fleet.owner.start_id)
    assert info["api"].startswith("1.")
    assert set(Action) <= set(info["capabilities"])


async def test_status_shows_the_fleet_and_every_bot(control: Control, fleet: Fleet) -> None:
    """The shape of `status --json`, JSON-ready, with a row for a bot whose file is bad."""
    status = json.loads(json.dumps(await control.status()))
    assert status["fleet"]["running"] is True
    assert status["fleet"]["phases"] == {"invalid": 1, "running": 2}
    assert [row["bot_id"] for row in status["bots"]] == ["alpha", "beta", "gamma"]
    alpha, _, gamma = status["bots"]
    assert {
        "bot_id", "name", "phase", "conditions", "desired", "paused", "since", "telegram", "last_poll_age_s", "inbox_open",
        "outbox_open", "turns", "errors", "restarts", "generation", "observed_generation", "config_error",
    } <= alpha.keys()  # fmt: skip
    assert alpha["telegram"]["username"] == "alpha_bot"
    assert alpha["config_error"] is None
    assert gamma["phase"] == "invalid"
    assert "gamma.toml:1:1" in gamma["config_error"]


async def test_bot_tells_all_of_one(control: Control, double: Sandbox) -> None:
    """Row, file, usage and events of one bot; an unknown id names the nearest."""
    await talk(double, "alpha_bot", "hello")
    info = await control.bot("alpha")
    assert info["running"] is True
    assert info["file"].endswith("bots/alpha.toml")
    assert [total["provider"] for total in info["usage"]] == ["echo"]
    assert "BotStarted" in {event["kind"] for event in info["events"]}
    with pytest.raises(NoSuchBot) as missed:
        await control.bot("alhpa")
    assert "alpha" in missed.value.hint
    assert missed.value.exit_code == 4


async def test_config_show_masks_secrets(control: Control, fleet: Fleet) -> None:
    """The effective configuration, with where it came from, and no token in it."""
    shown = await control.config_show("alpha")
    spec = fleet.spec("alpha")
    assert spec is not None
    assert spec.config.telegram.token is not None
    assert spec.config.telegram.token.reveal() not in json.dumps(shown)
    assert shown["config"]["llm"]["provider"] == "echo"
    with pytest.raises(NoSuchBot):
        await control.config_show("nobody")


async def test_check_says_what_is_wrong_with_the_files(control: Control) -> None:
    """The same answer as `botdeck check --json`."""
    answer = await control.check()
    assert answer["ok"] is False
    assert answer["bots"] == ["alpha", "beta"]
    assert {problem["bot_id"] for problem in answer["problems"]} == {"gamma"}


async def test_stop_and_start_are_durable_intents(control: Control, fleet: Fleet) -> None:
    """A stop is written down with who and why before it happens, and holds until a start."""
    stopped = await control.steer(Action.STOP, ["alpha"], actor="test:ana", reason="lunch")
    assert [(o["bot_id"], o["ok"]) for o in stopped] == [("alpha", True)]
    assert await control.wait(["alpha"], [Phase.STOPPED], timeout_s=WAIT_S) == []
    state = await fleet.store.partition("alpha").state.load()
    assert state is not None
    assert (state.desired, state.desired_actor, state.desired_reason) == ("stop", "test:ana", "lunch")
    await control.steer(Action.START, ["alpha"], actor="test:ana")
    assert await control.wait(["alpha"], [Phase.RUNNING], timeout_s=WAIT_S) == []
    acted = await control.events(EventQuery(("alpha",), kinds=("OperatorActed",)))
    assert [(e["data"]["action"], e["actor"]) for e in acted] == [("stop", "test:ana"), ("start", "test:ana")]


async def test_restart_is_waited_for_by_its_moment(control: Control) -> None:
    """`wait` with `since` is not satisfied by the bot as it was before."""
    [outcome] = await control.steer(Action.RESTART, ["alpha"], actor="test")
    assert await control.wait(["alpha"], [Phase.RUNNING], timeout_s=WAIT_S, since=outcome["at"]) == []
    row = next(r for r in (await control.status())["bots"] if r["bot_id"] == "alpha")
    assert row["since"] is not None
    assert row["since"] >= outcome["at"]


async def test_pause_and_resume(control: Control) -> None:
    """A paused bot stays running and says that it is paused."""
    await control.steer(Action.PAUSE, ["alpha"], actor="test")
    row = (await control.status())["bots"][0]
    assert (row["phase"], row["paused"]) == ("running", True)
    await control.steer(Action.RESUME, ["alpha"], actor="test")
    assert (await control.status())["bots"][0]["paused"] is False


async def test_globs_and_partial_failure(control: Control) -> None:
    """Every bot asked for has an outcome; those that cannot be found or do not take the order say why."""
    outcomes = {o["bot_id"]: o for o in await control.steer(Action.PAUSE, ["*a", "betta"], actor="test")}
    assert set(outcomes) == {"alpha", "beta", "gamma", "betta"}
    assert outcomes["alpha"]["ok"]
    assert outcomes["beta"]["ok"]
    assert outcomes["gamma"]["error"] == "wrong_phase"
    assert outcomes["betta"]["error"] == "no_such_bot"
    assert "beta" in outcomes["betta"]["hint"]


async def test_waiting_for_what_cannot_come_ends_early(control: Control) -> None:
    """A bot that is invalid will not run by itself: waiting ends without running out of time."""
    with anyio.fail_after(WAIT_S):
        assert await control.wait(["alpha", "gamma"], [Phase.RUNNING], timeout_s=600) == ["gamma"]
    assert await control.wait(["alpha"], [Phase.STARTING], timeout_s=0.1) == ["alpha"]
    assert await control.wait(["alpha"], [Phase.RUNNING], timeout_s=0.1, since=4e9) == ["alpha"]
    with pytest.raises(NoSuchBot):
        await control.wait(["nobody"], [Phase.RUNNING], timeout_s=1)


async def test_reload_applies_at_once(control: Control, fleet: Fleet) -> None:
    """A reload answers with what it changed, without the patience a half-written file is given."""
    path = fleet.place.root / "bots" / "gamma.toml"
    path.write_text('channel = "none"\n')
    answer = await control.reload(actor="test")
    assert answer["problems"] == []
    assert "gamma" in fleet.snapshot.bots
    path.write_text("channel = 7\n")
    answer = await control.reload(actor="test")
    assert {p["bot_id"] for p in answer["problems"]} == {"gamma"}
    assert fleet.pool.bot("gamma").config_error


async def test_logs_are_queried_by_bot_level_and_pattern(control: Control) -> None:
    """Lines come oldest first, of the bots asked for; a bad pattern or bot is refused."""
    logger = logging.getLogger("workers.test")
    for number in range(5):
        logger.info("line %d", number, extra={"bot_id": "alpha"})
    logger.warning("line w", extra={"bot_id": "beta"})
    lines = await control.logs(LogQuery(("alpha",), tail=2, pattern=r"line \d"))
    assert [line["text"] for line in lines] == ["line 3", "line 4"]
    lines = await control.logs(LogQuery(min_level=logging.WARNING, pattern="^line"))
    assert [(line["bot_id"], line["level"], line["text"]) for line in lines] == [("beta", "warning", "line w")]
    assert await control.logs(LogQuery(tail=0)) == []
    with pytest.raises(BadRequest, match="regular expression"):
        await control.logs(LogQuery(pattern="("))
    with pytest.raises(NoSuchBot):
        await control.logs(LogQuery(("nobody",)))


async def test_logs_are_followed_without_gap_or_repeat(control: Control) -> None:
    """A follower gets the backlog once, then every further line, of the bots asked for only."""
    logger = logging.getLogger("workers.test")
    logger.info("one", extra={"bot_id": "alpha"})
    query = LogQuery(("alpha",), tail=10, pattern="^(one|two|three)$")
    seen = []
    with anyio.fail_after(WAIT_S):
        async with aclosing(control.follow_logs(query)) as lines:  # type: ignore[type-var]
            async for line in lines:
                seen.append(line["text"])
                if line["text"] == "one":
                    logger.info("other", extra={"bot_id": "beta"})
                    logger.info("two", extra={"bot_id": "alpha"})
                if line["text"] == "two":
                    logger.info("three", extra={"bot_id": "alpha"})
                if line["text"] == "three":
                    break
    assert seen == ["one", "two", "three"]


async def test_a_line_that_comes_while_the_backlog_is_read_comes_once(control: Control, fleet: Fleet) -> None:
    """Between listening and reading what is stored no line is lost, and none is shown twice."""
    logger = logging.getLogger("workers.test")
    query = LogQuery(("alpha",), pattern="^n")
    seen = []

    async def follow() -> None:
        async with aclosing(control.follow_logs(query)) as lines:  # type: ignore[type-var]
            async for line in lines:
                seen.append(line["text"])
                if line["text"] == "n last":
                    return

    with anyio.fail_after(WAIT_S):
        async with anyio.create_task_group() as group:
            group.start_soon(follow)
            for number in range(50):
                await anyio.lowlevel.checkpoint()
                logger.info(f"n {number}", extra={"bot_id": "alpha"})  # noqa: G004
            await eventually(lambda: "n 49" in seen)
            logger.info("n last", extra={"bot_id": "alpha"})
    assert seen == [f"n {number}" for number in range(50)] + ["n last"]


async def test_following_a_bad_query_is_refused(control: Control) -> None:
    """The refusal is an error, not an empty stream."""
    with pytest.raises(NoSuchBot):
        async for _ in control.follow_logs(LogQuery(("nobody",))):
            pass
    with pytest.raises(BadRequest):
        async for _ in control.follow_logs(LogQuery(pattern="(")):
            pass
    with pytest.raises(NoSuchBot):
        async for _ in control.follow_events(EventQuery(("nobody",))):
            pass


async def test_a_registered_bot_is_read_and_followed_like_one_of_the_folder(control: Control, fleet: Fleet) -> None:
    """By its name and by a glob, which stands also for bots that come later; each line once, of nobody else."""
    await fleet.tenants.register("desk-1", ECHO, {}, actor="test")
    logger = logging.getLogger("workers.test")
    logger.info("first", extra={"bot_id": "desk-1"})
    assert [line["text"] for line in await control.logs(LogQuery(("desk-1",)))] == ["first"]
    seen = []
    with anyio.fail_after(WAIT_S):
        async with (
            aclosing(control.follow_events(EventQuery(("desk-1",)))) as of_one,  # type: ignore[type-var]
            aclosing(control.follow_events(EventQuery(("desk-*",)))) as of_all,  # type: ignore[type-var]
            aclosing(control.follow_logs(LogQuery(("desk-*",)))) as lines,  # type: ignore[type-var]
        ):
            for stream in (of_one, of_all, lines):
                seen.append(await anext(stream))
            await fleet.tenants.register("desk-2", ECHO, {}, actor="test")
            await fleet.tenants.steer("desk-1", "stop", actor="test")
            logger.info("second", extra={"bot_id": "alpha"})
            logger.info("third", extra={"bot_id": "desk-2"})
            for stream in (of_one, of_all, of_all, lines):
                seen.append(await anext(stream))
    told = [line["text"] if "text" in line else f"{line['bot_id']} {line['data']['action']}" for line in seen]
    assert told == [
        "desk-1 register", "desk-1 register", "first",
        "desk-1 stop", "desk-2 register", "desk-1 stop", "third",
    ]  # fmt: skip


async def test_events_are_followed(control: Control, double: Sandbox) -> None:
    """What was journaled comes first, then what happens, each once."""
    await talk(double, "alpha_bot", "first")
    query = EventQuery(("alpha",), kinds=("MessageReceived",))
    updates = []
    with anyio.fail_after(WAIT_S):
        async with aclosing(control.follow_events(query)) as lines:  # type: ignore[type-var]
            async for line in lines:
                updates.append(line["data"]["update_id"])
                if len(updates) == 3:
                    break
                await talk(double, "alpha_bot", "more")
    assert updates == sorted(set(updates))


async def test_backup_is_a_whole_database(control: Control, tmp_path: Path) -> None:
    """The copy is verified, says its size, and does not replace a file unasked."""
    target = tmp_path / "copy.db"
    done = await control.backup(target)
    assert done == {"file": str(target), "size_bytes": target.stat().st_size}
    with pytest.raises(StoreError, match="exists"):
        await control.backup(target)
    await control.backup(target, overwrite=True)


async def test_a_bot_is_moved_by_export_remove_import(
    control: Control, fleet: Fleet, double: Sandbox, tmp_path: Path
) -> None:
    """Export writes one bot's rows, remove takes file, rows, kept files and worker away, import brings the rows back."""
    await talk(double, "alpha_bot", "remember me")
    exported = await control.export_bot("alpha", tmp_path / "alpha.botdeck")
    assert exported["rows"] > 0
    kept = fleet.place.root / "media" / "alpha" / "1-1-u-photo.jpg"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"x")
    removed = await control.remove_bot("alpha", actor="test")
    assert removed["rows"] > 0
    assert not kept.parent.exists()
    assert not (fleet.place.root / "bots" / "alpha.toml").exists()
    assert [row["bot_id"] for row in (await control.status())["bots"]] == ["beta", "gamma"]
    await fleet.settle("nobody")
    await fleet.metrics.flush(fleet.store)
    assert (
        "alpha" not in await fleet.store.bot_ids()
    )  # what was said and measured of it last came before the end of its rows
    imported = await control.import_bot(tmp_path / "alpha.botdeck", actor="test")
    assert imported["bot_id"] == "alpha"
    assert imported["rows"] == exported["rows"]
    for call in (control.remove_bot("nobody", actor="test"), control.export_bot("nobody", tmp_path / "x")):
        with pytest.raises(NoSuchBot):
            await call


async def test_orders_are_refused_while_the_fleet_ends(control: Control, fleet: Fleet) -> None:
    """Once the end has begun questions are answered and orders refused."""
    from console.errors import ShuttingDown

    fleet.control.closing = True
    with pytest.raises(ShuttingDown):
        await control.steer(Action.STOP, ["alpha"], actor="test")
    assert (await control.status())["fleet"]["running"] is True
