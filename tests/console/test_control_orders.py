"""Orders over the socket come once, rest on what their giver has seen, and are refused to those who only look."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from console.attach import RemoteControl, connect
from console.control import Action, Control, EventQuery
from console.errors import NoFleet, ReadOnly
from console.place import socket_path
from console.runtime import Fleet
from console.web.auth import requirements
from console.web.orders import KEPT, KEPT_S, LOOKING, QUESTIONS, Answer, Answers
from tests.waiting import eventually
from workers.clock import ManualClock

pytestmark = pytest.mark.anyio

WAIT_S = 20.0
DONE = Answer("", [{"type": "http.response.start", "status": 200}])


async def acts(control: Control) -> list[str]:
    """Return who has acted on alpha."""
    return [event["actor"] for event in await control.events(EventQuery(("alpha",), kinds=("OperatorActed",)))]


async def test_an_order_rests_on_the_generation_its_giver_has_seen(control: Control, fleet: Fleet) -> None:
    """Files that changed since make a conflict, and nothing is done; the right generation, or none, is obeyed."""
    seen = fleet.pool.bot("alpha").generation
    [refused] = await control.steer(Action.PAUSE, ["alpha"], actor="t", expected_generation=seen + 1)
    assert (refused["ok"], refused["error"]) == (False, "conflict")
    assert not fleet.pool.bot("alpha").paused
    [done] = await control.steer(Action.PAUSE, ["alpha"], actor="t", expected_generation=seen)
    assert done["ok"]
    assert fleet.pool.bot("alpha").paused


# --- once ------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def client(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.AsyncHTTPTransport(uds=str(socket_path(fleet.place.database)))
    async with httpx.AsyncClient(transport=transport, base_url="http://botdeck", timeout=WAIT_S) as asking:
        yield asking


async def test_an_order_with_a_key_is_done_once(fleet: Fleet) -> None:
    """The same key gets the answer of the first time, to the byte; another key, or another order, is another matter."""
    body = {"selectors": ["alpha"], "actor": "t"}
    async with client(fleet) as asking:

        async def pause(key: str, what: str = "pause") -> httpx.Response:
            return await asking.post(f"/v1/actions/{what}", json=body, headers={"Idempotency-Key": key})

        first, again = await pause("k1"), await pause("k1")
        assert (first.status_code, again.content) == (200, first.content)
        assert await acts(fleet.control) == ["t"]
        await pause("k1", "resume")
        await pause("k2")
    assert await acts(fleet.control) == ["t", "t", "t"]
    assert fleet.pool.bot("alpha").paused


async def test_a_key_is_of_one_request_and_what_failed_is_tried_again(fleet: Fleet) -> None:
    """The same key with another body is a mistake; an answer that says "not now" is not kept."""
    headers = {"Idempotency-Key": "k"}
    async with client(fleet) as asking:
        body = {"selectors": ["alpha"], "actor": "t"}
        assert (await asking.post("/v1/actions/pause", json=body, headers=headers)).status_code == 200
        other = await asking.post("/v1/actions/pause", json=body | {"reason": "lunch"}, headers=headers)
        assert (other.status_code, other.json()["error"]) == (422, "ValidationError")
        fleet.control.closing = True
        refused = await asking.post("/v1/actions/resume", json=body, headers=headers)
        assert (refused.status_code, refused.json()["error"]) == (503, "UnavailableError")
        fleet.control.closing = False
        assert (await asking.post("/v1/actions/resume", json=body, headers=headers)).status_code == 200
        long = await asking.post("/v1/reload", json={}, headers={"Idempotency-Key": "k" * 256})
        assert long.status_code == 422
    assert await acts(fleet.control) == ["t", "t"]


async def test_the_same_key_waits_for_the_first_while_it_is_at_work(fleet: Fleet) -> None:
    """Two at a time with one key: one turn of the bot, one answer for both."""
    body, headers = {"text": "hello", "session": "s"}, {"Idempotency-Key": "k"}
    async with client(fleet) as asking:
        answers = await asyncio.gather(
            *(asking.post("/v1/bots/alpha/say", json=body, headers=headers) for _ in range(5))
        )
    assert len({answer.content for answer in answers}) == 1
    [row] = await fleet.control.conversations("alpha")
    assert row["turns"] == 1


async def test_a_first_that_fails_leaves_the_work_to_those_who_wait() -> None:
    """What a crash left undone is done for the next one with the key, who may wait already; its answer is kept."""
    answers, gate, tries = Answers(ManualClock()), anyio.Event(), []

    async def do() -> Answer:
        tries.append(1)
        if len(tries) == 1:
            await gate.wait()
            raise RuntimeError("lost")
        return DONE

    first = asyncio.ensure_future(answers.once("k", do))
    await eventually(lambda: tries)
    second = asyncio.ensure_future(answers.once("k", do))
    await anyio.lowlevel.checkpoint()
    gate.set()
    with pytest.raises(RuntimeError):
        await first
    assert await second is await answers.once("k", do) is DONE
    assert len(tries) == 2


async def test_answers_are_forgotten() -> None:
    """After ten minutes, or when a thousand have come since; one still at work is never forgotten."""
    clock, gate, done = ManualClock(), anyio.Event(), []
    answers, late = Answers(clock), Answer("", DONE.said)

    async def do() -> Answer:
        done.append(1)
        return DONE

    async def long() -> Answer:
        await gate.wait()
        return late

    slow = asyncio.ensure_future(answers.once("slow", long))
    await anyio.lowlevel.checkpoint()
    await answers.once("k", do)
    await answers.once("k", do)
    assert len(done) == 1
    await clock.advance(KEPT_S)
    await answers.once("k", do)
    assert len(done) == 2
    for number in range(2 * KEPT):
        await answers.once(f"k{number}", do)
    assert len(answers._kept) <= KEPT
    await answers.once("k", do)
    assert len(done) == 3 + 2 * KEPT
    again = asyncio.ensure_future(answers.once("slow", do))
    await anyio.lowlevel.checkpoint()
    gate.set()
    assert await again is await slow is late


class Cutter:
    """A wire between a client and a fleet that is cut, so many times, once the request is through."""

    def __init__(self, folder: Path, behind: Path, times: int) -> None:
        self.path = folder / "cut.sock"
        self._behind = behind
        self._times = times
        self.keys: list[str] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one request to the fleet, and its answer back unless the wire is cut."""
        request = await reader.readuntil(b"\r\n\r\n")
        size = next(int(line.split(b":")[1]) for line in request.splitlines() if line.startswith(b"content-length"))
        request += await reader.readexactly(size)
        self.keys += [line.decode() for line in request.splitlines() if line.startswith(b"idempotency-key")]
        far_reader, far_writer = await asyncio.open_unix_connection(str(self._behind))
        far_writer.write(request)
        answer = await far_reader.read()
        if self._times:
            self._times -= 1
        else:
            writer.write(answer)
        for each in (far_writer, writer):
            each.close()
            await each.wait_closed()


@asynccontextmanager
async def cut(fleet: Fleet, folder: Path, times: int) -> AsyncIterator[Cutter]:
    cutter = Cutter(folder, socket_path(fleet.place.database), times)
    server = await asyncio.start_unix_server(cutter.take, str(cutter.path))
    try:
        yield cutter
    finally:
        server.close()


async def test_an_order_whose_answer_was_lost_is_asked_again_and_done_once(fleet: Fleet, tmp_path: Path) -> None:
    """The client asks once more with the same key, and gets the answer of what was done."""
    async with cut(fleet, tmp_path, times=1) as cutter:
        remote = RemoteControl(cutter.path)
        said = await remote.say("alpha", "hello", session="s", actor="t")
    assert said["text"] == "hello"
    assert len(cutter.keys) == 2
    assert len(set(cutter.keys)) == 1
    [row] = await fleet.control.conversations("alpha")
    assert row["turns"] == 1


async def test_a_wire_that_stays_cut_is_said(fleet: Fleet, tmp_path: Path) -> None:
    """Twice lost is an error for people to judge; a question is not asked twice at all."""
    async with cut(fleet, tmp_path, times=3) as cutter:
        remote = RemoteControl(cutter.path)
        with pytest.raises(NoFleet, match="lost"):
            await remote.steer(Action.PAUSE, ["alpha"], actor="t")
        assert len(cutter.keys) == 2
        with pytest.raises(NoFleet, match="lost"):
            await remote.status()
        await remote.status()
    assert await acts(fleet.control) == ["t"]


# --- who only looks --------------------------------------------------------------------------------------------


async def test_the_fleet_refuses_every_order_of_those_who_only_look(fleet: Fleet) -> None:
    """Each POST there is, save the questions, is refused before it is read; what is asked by GET is answered."""
    from console.web.app import make_app

    routes = [name.split(" ") for name in requirements(make_app(fleet.control, fleet.clock))]
    routes = [(method, path) for method, path in routes if method not in LOOKING]
    assert len(routes) > 8
    async with client(fleet) as asking:
        asking.headers["X-Botdeck-Readonly"] = "1"
        for method, route in routes:
            path = route.replace("{bot_id}", "alpha").replace("{action}", "stop")
            answer = await asking.request(method, path, json={})
            if path.endswith(QUESTIONS):
                assert answer.status_code == 422, path
            else:
                assert (answer.status_code, "only looks" in answer.text) == (403, True), path
        assert (await asking.get("/v1/bots")).status_code == 200
        preview = await asking.post("/v1/bots/alpha/preview", json={"text": "x = 1"})
        assert preview.json()["ok"] is False


async def test_a_console_that_only_looks_gives_no_order(fleet: Fleet, tmp_path: Path) -> None:
    """Every order of a Control is refused by a client attached to look; every question is answered."""
    remote = await connect(fleet.place, readonly=True)
    orders: dict[str, Any] = {
        "steer": lambda: remote.steer(Action.STOP, ["alpha"], actor="t"),
        "reload": lambda: remote.reload(actor="t"),
        "save_config": lambda: remote.save_config("alpha", "", expected_digest="", actor="t"),
        "add_bot": lambda: remote.add_bot({"bot_id": "x", "token": "${X}"}, actor="t"),
        "say": lambda: remote.say("alpha", "hello", session="s", actor="t"),
        "backup": lambda: remote.backup(tmp_path / "copy.db"),
        "export_bot": lambda: remote.export_bot("alpha", tmp_path / "a"),
        "import_bot": lambda: remote.import_bot(tmp_path / "a", actor="t"),
        "remove_bot": lambda: remote.remove_bot("alpha", actor="t"),
        "pair": lambda: remote.pair("alpha", minutes=1, actor="t"),
        "access": lambda: remote.access("alpha", allow=[1], actor="t"),
        "saying": lambda: anext(aiter(remote.saying("alpha", "hello", session="s", actor="t"))),
        "key_add": lambda: remote.key_add("k", "read", actor="t"),
        "key_revoke": lambda: remote.key_revoke("k", actor="t"),
        "profile": lambda: remote.profile("alpha", "1", changes={"name": "Ann"}, actor="t"),
    }
    acting = {name for name, call in inspect.getmembers(Control) if "actor" in getattr(call, "__annotations__", {})}
    assert acting <= orders.keys()
    for order in orders.values():
        with pytest.raises(ReadOnly):
            await order()
    assert (await remote.preview("alpha", 'channel = "none"\n'))["ok"]
    assert await remote.wait(["alpha"], ["running"], timeout_s=1) == []  # type: ignore[list-item]
    assert fleet.pool.bot("alpha").phase == "running"
