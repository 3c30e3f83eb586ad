"""Events and log lines as server-sent events: nothing twice, nothing missed, also for who comes back."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.vocabulary import FLEET
from store.events import OperatorActed
from tests.console.api_rig import Api, serving
from tests.waiting import eventually
from workers.logbook import current_bot

pytestmark = pytest.mark.anyio

STREAM = {"accept": "text/event-stream"}


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f", anonymous="admin") as running:
        yield running


def happen(api: Api, number: int, bot_id: str = "echo") -> None:
    api.fleet.bus.publish(
        OperatorActed(bot_id=bot_id, at=api.fleet.clock.now(), action="test", actor="t", reason=f"{number}")
    )


class Reader:
    """Reads a stream event by event."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self.last = ""

    async def line(self) -> Any:
        """Return the next JSON line that is no heartbeat."""
        while "heartbeat" in (found := json.loads(await self._content.readline())):
            pass
        return found

    async def next(self) -> Any:
        """Return the data of the next event; comments are passed over."""
        found: dict[str, str] = {}
        while True:
            line = (await self._content.readline()).decode().rstrip("\n")
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                found[name] = value
            elif not line and found:
                self.last = found["id"]
                return json.loads(found["data"])


@asynccontextmanager
async def reading(api: Api, path: str, last: str = "") -> AsyncIterator[Reader]:
    headers = STREAM | ({"last-event-id": last} if last else {})
    async with api.session.get(api.url + path, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.content_type == "text/event-stream"
        yield Reader(answer.content)


@pytest.mark.parametrize("path", ["/v1/bots/echo/events", "/v1/events", "/v1/events?bots=echo"])
async def test_who_comes_back_misses_nothing_and_gets_nothing_twice(api: Api, path: str) -> None:
    """Every event, in order, over as many connections as it takes."""
    more = "&" if "?" in path else "?"
    path = f"{path}{more}kinds=OperatorActed&tail=0"
    seen: list[int] = []
    happen(api, -1)
    async with reading(api, path) as reader:
        happen(api, 0)
        seen.append(int((await reader.next())["data"]["reason"]))
        last = reader.last
    for number in range(1, 4):
        happen(api, number)
    async with reading(api, path, last) as reader:
        seen += [int((await reader.next())["data"]["reason"]) for _ in range(3)]
        happen(api, 4)
        seen.append(int((await reader.next())["data"]["reason"]))
    assert seen == [0, 1, 2, 3, 4]


async def test_more_events_than_are_read_at_once(api: Api) -> None:
    """A long absence is made up for, batch after batch."""
    path = "/v1/bots/echo/events?kinds=OperatorActed"
    happen(api, 0)
    async with reading(api, path) as reader:
        await reader.next()
        last = reader.last
    for number in range(1, 1202):
        happen(api, number)
    async with reading(api, path, last) as reader:
        got = [int((await reader.next())["data"]["reason"]) for _ in range(1201)]
        assert got == list(range(1, 1202))


async def test_log_lines_are_followed_too(api: Api) -> None:
    """Of one bot, of the fleet itself, and of all; from a level upwards."""
    logger = logging.getLogger("test")
    token = current_bot.set("echo")
    async with (
        reading(api, "/v1/bots/echo/logs?tail=0&min_level=30") as of_bot,
        reading(api, f"/v1/bots/{FLEET}/logs?tail=0&min_level=30") as of_fleet,
        reading(api, "/v1/logs?tail=0&min_level=30") as of_all,
    ):
        logger.info("not shown")
        logger.warning("from the bot")
        current_bot.reset(token)
        logger.warning("from the fleet")
        assert (await of_bot.next())["text"] == "from the bot"
        assert (await of_fleet.next())["text"] == "from the fleet"
        assert [(await of_all.next())["text"] for _ in range(2)] == ["from the bot", "from the fleet"]


async def test_bots_do_not_hear_of_each_other(api: Api) -> None:
    """A stream of one bot has events of that bot."""
    async with reading(api, "/v1/bots/echo/events?tail=0&kinds=OperatorActed") as reader:
        happen(api, 1, "other")
        happen(api, 2)
        assert (await reader.next())["data"]["reason"] == "2"


@pytest.mark.parametrize("path", ["/v1/events?kinds=OperatorActed", "/v1/events?bots=desk&kinds=OperatorActed"])
async def test_the_fleets_events_are_those_of_registered_bots_too(api: Api, path: str) -> None:
    """Also of one that nobody ever spoke to; who is bound to a client does not read the fleet's events at all."""
    config = {"client_id": "acme", "llm": {"provider": "echo"}}
    assert (await api.ask("POST", "/v1/bots", json={"bot_id": "desk", "config": config})).status == 201
    told = await api.ask("GET", path)
    lines = [json.loads(line) for line in told.body.splitlines()]
    assert [(line["bot_id"], line["data"]["action"]) for line in lines] == [("desk", "register")]
    assert (await api.ask("GET", path, key=await api.key("read", "acme"))).status == 403


@pytest.mark.parametrize("path", ["/v1/events?bots=desk", "/v1/bots/desk/events", "/v1/events?bots=desk&follow=true"])
async def test_a_registered_bot_is_followed_by_its_name(api: Api, path: str) -> None:
    """As server-sent events and as JSON lines: what was, then what comes, of this bot alone."""
    assert (await api.ask("POST", "/v1/bots", json={"bot_id": "desk", "config": {}})).status == 201
    headers = {} if "follow" in path else STREAM
    async with api.session.get(api.url + path, headers=headers) as answer:
        reader = Reader(answer.content)
        following = reader.next if headers else reader.line
        assert (await following())["data"]["action"] == "register"
        happen(api, 1)
        happen(api, 2, "desk")
        assert (await following())["data"]["reason"] == "2"


async def test_what_a_bot_taken_out_did_is_still_read(api: Api) -> None:
    """By its name among those of all, for as long as it is kept; it is no bot any more."""
    assert (await api.ask("POST", "/v1/bots", json={"bot_id": "desk", "config": {}})).status == 201
    assert (await api.ask("DELETE", "/v1/bots/desk")).status == 200
    async with reading(api, "/v1/events?bots=desk") as reader:
        assert [(await reader.next())["data"]["action"] for _ in range(2)] == ["register", "unregister"]
    assert (await api.ask("GET", "/v1/bots/desk/events")).status == 404


async def test_who_leaves_is_forgotten(api: Api) -> None:
    """Nothing listens for somebody who is gone."""
    before = len(api.fleet.bus._subscriptions)
    async with reading(api, "/v1/bots/echo/events"):
        await eventually(lambda: len(api.fleet.bus._subscriptions) == before + 1)
    await eventually(lambda: len(api.fleet.bus._subscriptions) == before)


STRANGE_IDS: list[str] = ["x", "-1", "9" * 31, "1.5", "²"]


async def test_an_id_that_is_none_of_ours_is_refused(api: Api) -> None:
    """422, never a 500."""
    for last in STRANGE_IDS:
        answer = await api.ask("GET", "/v1/bots/echo/events", headers=STREAM | {"last-event-id": last})
        assert (answer.status, answer.body["error"]) == (422, "ValidationError")


async def test_some_bots_are_no_stream(api: Api) -> None:
    """One, or all."""
    assert (await api.ask("GET", f"/v1/events?bots=echo&bots={FLEET}", headers=STREAM)).status == 422
    assert (await api.ask("GET", "/v1/events?bots=nobody", headers=STREAM)).status == 404
