"""`botdeck logs` and `botdeck events`, against a fleet of a real process."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from console.asking import moment
from console.attach import connect
from console.errors import BadRequest
from console.place import find
from tests.operated import World, begin, finish, read_until

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("w"))
    made.add_bot("alpha")
    made.add_bot("beta", llm={"provider": "openai", "base_url": "http://127.0.0.1:9/v1", "model": "none"})
    made.start()
    made.ask("alpha", "x")
    yield made
    made.end()


def test_logs_are_lines_with_time_level_bot_and_text(world: World) -> None:
    """One line an entry, of the bots asked for."""
    done = world.cli("logs", "alpha")
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if "INFO     alpha  running" in line)
    datetime.fromisoformat(line[:19])
    assert "beta" not in done.stdout


def test_logs_as_json_lines_filtered(world: World) -> None:
    """--json, --grep, --level, --tail and --since narrow together."""
    done = world.cli("logs", "--json", "--grep", "^run", "--level", "info", "--since", "1h", "--tail", "1")
    [line] = [json.loads(text) for text in done.stdout.splitlines()]
    assert line["text"] == "running"
    assert world.cli("logs", "--level", "critical").stdout == ""
    assert world.cli("logs", "--tail", "0").stdout == ""


def test_mistakes_are_told(world: World) -> None:
    """Unknown bot: 4 with the nearest; bad pattern or moment: 2."""
    missing = world.cli("logs", "alhpa")
    assert (missing.returncode, "alpha" in missing.stderr) == (4, True)
    assert world.cli("logs", "--grep", "(").returncode == 2
    assert world.cli("logs", "--since", "soon").returncode == 2
    assert world.cli("logs", "--follow", "alhpa").returncode == 4
    kind = world.cli("events", "--kind", "BotStrated")
    assert (kind.returncode, "BotStarted" in kind.stderr) == (2, True)


def test_logs_follow_until_ctrl_c(world: World) -> None:
    """--follow shows what comes; Ctrl-C ends it without a trace."""
    process = begin("logs", "beta", "-f", "-n", "0", "-C", str(world.root), XDG_RUNTIME_DIR=str(world.runtime))
    world.post("say", {"bot": "beta_bot", "chat_id": 9, "text": "hi"})
    world.cli("restart", "beta", "--wait")
    read_until(process, datetime.now().astimezone().strftime("%Y-"))
    code, output = finish(process, signal.SIGINT)
    assert code == 130
    assert "Traceback" not in output


def test_events_show_what_happened_and_who_did_it(world: World) -> None:
    """Kinds in any case, data as words, the actor of an order."""
    world.cli("pause", "alpha", "--reason", "so")
    world.cli("resume", "alpha")
    done = world.cli("events", "alpha", "--kind", "operatoracted")
    assert "alpha  OperatorActed  action=pause actor=cli:" in done.stdout
    assert "reason=so" in done.stdout
    received = world.cli("events", "--json", "--kind", "MessageReceived", "alpha")
    assert json.loads(received.stdout.splitlines()[0])["data"]["chat_id"] == 501
    fleet = world.cli("events", "_fleet")
    assert "FleetStarted" in fleet.stdout


def test_events_follow_over_the_end_of_the_fleet(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A follower sees the fleet end, is told so, and leaves with 4."""
    made = World(tmp_path_factory.mktemp("w"))
    try:
        made.add_bot("alpha")
        made.start()
        process = begin("events", "-f", "-C", str(made.root), XDG_RUNTIME_DIR=str(made.runtime))
        read_until(process, datetime.now().astimezone().strftime("%Y-"))
        assert made.fleet is not None
        finish(made.fleet)
        code, output = finish(process, None)
        assert code == 4
        assert "FleetStopped" in output
        assert "error: the " in output
    finally:
        made.end()


def test_registered_bots_are_read_with_a_fleet_and_without(tmp_path: Path) -> None:
    """By name: what was, what comes; once the fleet has ended, what was written down."""
    made = World(tmp_path)
    try:
        made.root.mkdir()
        made.start()
        anyio.run(order, made, "/v1/bots", {"bot_id": "desk", "config": {"llm": {"provider": "echo"}}})
        process = begin(
            "events", "desk", "-f", "--json", "-C", str(made.root), merged=False, XDG_RUNTIME_DIR=str(made.runtime)
        )
        followed = read_until(process, "{")
        anyio.run(order, made, "/v1/bots/desk/stop", {"actor": "me"})
        followed += read_until(process, "{")
        assert [json.loads(line)["data"]["action"] for line in followed] == ["register", "stop"]
        assert finish(process, signal.SIGINT)[0] == 130
        assert made.fleet is not None
        finish(made.fleet)
        for words in (("desk",), ("desk", "-f"), ("de*",), ()):
            done = made.cli("events", "--json", "--kind", "OperatorActed", *words)
            assert (done.stdout.splitlines(), done.returncode) == (followed, 4 if "-f" in words else 0)
        assert made.cli("logs", "desk").returncode == 0
    finally:
        made.end()


async def order(world: World, path: str, body: dict[str, Any]) -> None:
    """Ask the fleet through its socket for something only programs ask for."""
    remote = await connect(find(world.root, None))
    await remote._order(path, body)


def test_a_moment_is_a_distance_or_a_date() -> None:
    """90s, 10m, 2h, 3d, 1w ago; or an ISO date and time."""
    assert moment("90s", 1000.0) == 910.0
    assert moment("10m", 1000.0) == 400.0
    assert moment("1w", 700000.0) == 700000.0 - 604800
    assert moment("1970-01-01T01:00:00+00:00", 0.0) == 3600.0
    for nonsense in ("m", "-5m", "yesterday", "5 m"):
        with pytest.raises(BadRequest):
            moment(nonsense, 0.0)
