"""Who comes in over TCP, and who is sent away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.control import Action, EventQuery, LogQuery
from console.errors import NotAllowed
from console.web.app import make_app
from console.web.auth import NOBODY, OWNER, Principal, Requirement, requirements
from console.web.errors import AuthenticationError
from console.web.limits import FAILURES_PER_MIN
from console.web.requests import Requests
from tests.console.api_rig import Api, serving
from tests.waiting import eventually
from workers.logbook import current_request

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f") as running:
        yield running


# --- keys ----------------------------------------------------------------------------------------------------------


async def test_every_route_says_what_it_needs(api: Api) -> None:
    """A route without a declared scope is no route: the application would not start."""
    app = make_app(api.fleet.control, api.fleet.clock, api.fleet.api)
    needs = requirements(app)
    assert len(needs) > 40
    assert {name for name, found in needs.items() if not found} == set()
    public = {name for name, found in needs.items() if not any(one.scope for one in found)}
    assert public == {
        "GET /healthz", "GET /readyz", "GET /v1/healthz", "GET /v1/readyz", "GET /v1/openapi.json", "GET /v1/docs",
    }  # fmt: skip


async def test_an_application_with_a_route_of_nobody_is_refused(api: Api) -> None:
    """Forgotten is noticed at the first start, by whoever wrote it."""
    from console.web.auth import public_paths

    app = make_app(api.fleet.control, api.fleet.clock, api.fleet.api)

    @app.get("/v1/forgotten")
    async def forgotten() -> None: ...

    with pytest.raises(RuntimeError, match="GET /v1/forgotten does not say"):
        public_paths(app)


async def test_without_a_key_there_is_nothing_but_health(api: Api) -> None:
    """401 with the scheme that would do, before the body is looked at; unknown paths too."""
    for method, path in (("GET", "/v1/bots"), ("POST", "/v1/reload"), ("GET", "/metrics"), ("GET", "/v1/nothing")):
        answer = await api.ask(method, path, data=b"{")
        assert (answer.status, answer.body["error"]) == (401, "AuthenticationError")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert (await api.ask("GET", "/healthz")).body == {"status": "ok"}
    assert (await api.ask("GET", "/readyz")).body == {"status": "ready"}


async def test_scopes_hold_one_another(api: Api) -> None:
    """read looks, operate steers, admin is needed for more; what is too little is 403."""
    order = {"selectors": ["echo"]}
    for scope, look, steer in (("read", 200, 403), ("operate", 200, 200), ("admin", 200, 200)):
        key = await api.key(scope)
        assert (await api.ask("GET", "/v1/bots", key=key)).status == look
        assert (await api.ask("POST", "/v1/actions/pause", key=key, json=order)).status == steer
    refused = await api.ask("POST", "/v1/actions/pause", key=await api.key("read"), json=order)
    assert (refused.body["error"], refused.body["detail"]["kind"]) == ("PermissionDeniedError", "not_allowed")


async def test_a_key_of_a_client_reaches_nothing_of_the_fleet(api: Api) -> None:
    """Whatever route of the fleet: 403, and none of them answers."""
    key, app = await api.key("admin", "c1"), make_app(api.fleet.control, api.fleet.clock, api.fleet.api)
    fleet_wide = [n for n, found in requirements(app).items() if any(one.scope and not one.bound for one in found)]
    assert len(fleet_wide) > 25
    for name in fleet_wide:
        method, path = name.split(" ")
        path = path.replace("{bot_id}", "echo").replace("{action}", "stop").replace("{", "").replace("}", "")
        answer = await api.ask(method, path, key=key, json={})
        # What is asked wrongly is told before who asks is looked at: then nothing was done either.
        assert answer.status in {403, 422}, (name, answer.status)
        assert answer.status == 403 or answer.body["error"] == "ValidationError"


async def test_keys_and_files_are_the_owners_alone(api: Api) -> None:
    """The greatest key makes no other one: that is done at the fleet's machine."""
    key = await api.key("admin")
    assert (await api.ask("GET", "/v1/keys", key=key)).status == 403
    assert (await api.ask("POST", "/v1/keys", key=key, json={"name": "x", "scope": "admin"})).status == 403
    assert (await api.ask("GET", "/v1/bots/echo/file", key=key)).status == 403


async def test_revoked_is_refused_at_once_and_its_streams_end(api: Api) -> None:
    """The next request gets 401; a stream that is open ends with the next thing it would say."""
    key = await api.key("read")
    headers = {"Authorization": f"Bearer {key}"}
    async with api.session.get(f"{api.url}/v1/feed", headers=headers) as stream:
        assert await stream.content.readline()
        await api.fleet.control.key_revoke("read-all", actor="test")
        assert (await api.ask("GET", "/v1/bots", key=key)).status == 401
        await api.fleet.control.steer(Action.PAUSE, ["echo"], actor="test")
        await asyncio.wait_for(stream.content.read(), 20)


async def test_keys_that_are_not_good_are_told_of_without_them(api: Api) -> None:
    """A line with the address; after some in a minute 429, while good keys go on."""
    good, bad = await api.key("read"), "bdk_12345678_" + "x" * 43
    statuses = [(await api.ask("GET", "/v1/bots", key=bad)).status for _ in range(FAILURES_PER_MIN + 2)]
    assert statuses == [401] * FAILURES_PER_MIN + [429] * 2
    assert (await api.ask("GET", "/v1/bots", key=good)).status == 200
    await api.fleet.flush_logs()
    lines = [line["text"] for line in await api.fleet.control.logs(LogQuery(tail=100))]
    told = [text for text in lines if "a key that is not good" in text]
    assert told
    assert all("127.0.0.1" in text and "request=" in text and bad not in text for text in told)


@pytest.mark.parametrize("said", ["Basic Zm9vOmJhcg==", "Bearer", "Bearer ", "bdk_x", "Bearer \xff"])
async def test_odd_credentials_are_no_credentials(api: Api, said: str) -> None:
    """401 for each, never a 500."""
    assert (await api.ask("GET", "/v1/bots", headers={"Authorization": said})).status == 401


async def test_orders_are_written_down_under_the_keys_name(api: Api) -> None:
    """Whoever a request says it is."""
    order = {"selectors": ["echo"], "actor": "cli:root"}
    assert (await api.ask("POST", "/v1/actions/pause", key=await api.key("operate"), json=order)).status == 200
    await api.fleet.journal.flush()
    events = await api.fleet.control.events(EventQuery(kinds=("OperatorActed",)))
    assert [e["actor"] for e in events if e["data"]["action"] == "pause"] == ["key:operate-all"]


async def test_every_change_is_written_down_with_its_actor(api: Api) -> None:
    """An event for each mutation over TCP but a question asked: that is a turn, written down as such."""
    key = await api.key("admin")
    app = make_app(api.fleet.control, api.fleet.clock, api.fleet.api)
    new, said = {"config": {"llm": {"provider": "echo"}}}, {"message": "hi", "conversation_id": "c"}
    for _ in range(2):
        assert (await api.ask("POST", "/v1/bots/echo/chat", key=key, json=said)).status == 200
    orders: dict[str, Any] = {
        "POST /v1/reload": {},
        "POST /v1/bots": {"bot_id": "new"} | new,
        "PATCH /v1/bots/{bot_id}": new,
        "POST /v1/bots/{bot_id}/registrations/{version}/restore": {},
        "DELETE /v1/bots/{bot_id}": None,
        **{f"POST /v1/bots/{{bot_id}}/{a}": {} for a in ("pause", "resume", "restart", "reload", "stop", "start")},
        "POST /v1/bots/{bot_id}/conversations/{conversation_id:path}/undo": None,
        "DELETE /v1/bots/{bot_id}/conversations/{conversation_id:path}": None,
        "POST /v1/bots/{bot_id}/profile": {"user_id": "1", "changes": {"name": "Ann"}},
        "POST /v1/bots/{bot_id}/pair": {},
        "POST /v1/bots/{bot_id}/access": {"allow": [1], "block": [], "remove": []},
        "POST /v1/actions/{action}": {"selectors": ["echo"]},
        "POST /v1/bots/{bot_id}/remove": {},
    }
    turns = {
        f"POST /v1/{what}"
        for what in ("bots/{bot_id}/chat", "bots/{bot_id}/say", "bots/{bot_id}/saying", "chat/completions")
    }
    changing = {
        name for name, needs in requirements(app).items()
        if not name.startswith("GET") and not any(one.owner for one in needs) and not name.endswith("/wait")
    }  # fmt: skip
    assert changing == orders.keys() | turns
    seen: set[int] = set()
    for name, body in orders.items():
        method, path = name.split(" ")
        whose = "new" if "registrations" in path or name.startswith(("PATCH", "DELETE /v1/bots/{bot_id}")) else "echo"
        whose = "echo" if "conversations" in path else whose
        for part, value in (("bot_id", whose), ("version", "1"), ("conversation_id:path", "c"), ("action", "pause")):
            path = path.replace(f"{{{part}}}", value)
        answer = await api.ask(method, path, key=key, json=body)
        assert answer.status < 300, (name, answer.body)
        await api.fleet.journal.flush()
        events = await api.fleet.store.tail_events(1000, kinds=("OperatorActed",))
        mine = {event.event_id for event in events if "key:admin-all" in event.data}
        assert mine - seen, name
        seen |= mine


async def test_the_socket_is_the_owners(api: Api) -> None:
    """A principal of its own, that says who asks."""
    assert OWNER.may("admin")
    assert OWNER.actor("cli:ana") == "cli:ana"
    assert Principal("key:x", "admin").actor("cli:ana") == "key:x"


def test_requirements_one_by_one() -> None:
    """Nobody, too little, a bound key, and the socket."""
    bound = Principal("key:c", "operate", "c1", "id")
    with pytest.raises(AuthenticationError):
        Requirement("read").check(NOBODY)
    with pytest.raises(NotAllowed, match="scope admin"):
        Requirement("admin", bound=True).check(bound)
    with pytest.raises(NotAllowed, match="client c1 only"):
        Requirement("read").check(bound)
    with pytest.raises(NotAllowed, match="own machine"):
        Requirement("admin", owner=True).check(Principal("key:a", "admin"))
    assert Requirement("read", bound=True).check(bound).client("") == "c1"
    assert bound.client("c1") == "c1"
    with pytest.raises(NotAllowed):
        bound.client("c2")
    assert Principal("key:a", "read").client("c2") == "c2"


# --- pages of other sites ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1"])
async def test_a_name_that_is_not_ours_is_refused(api: Api, host: str) -> None:
    """DNS rebinding: the page's own name points here, and the browser says it."""
    answer = await api.ask("GET", "/healthz", headers={"Host": host})
    assert answer.status in {400, 403}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "LOCALHOST:99", "bots.example.com.", "bots.example.com:443"]
)
async def test_names_of_ours_are_taken(api: Api, host: str) -> None:
    """The address itself, localhost, and those that are allowed; whatever the port in front of a proxy is."""
    await api.configure(allowed_hosts=["Bots.example.com"])
    assert (await api.ask("GET", "/healthz", headers={"Host": host})).status == 200


async def test_pages_of_other_sites_are_refused(api: Api) -> None:
    """Also where no key is needed; the API's own pages and those that are allowed are not others."""
    await api.configure(anonymous="admin", allowed_origins=["https://app.example.com"])
    order = {"selectors": ["echo"]}
    for origin, status in (
        ("https://evil.example", 403),
        ("null", 403),
        ("https://app.example.com.evil.example", 403),
        (api.url, 200),
        ("https://app.example.com", 200),
    ):
        answer = await api.ask("POST", "/v1/actions/resume", json=order, headers={"Origin": origin})
        assert answer.status == status, origin


async def test_an_allowed_page_may_read_the_answer(api: Api) -> None:
    """CORS: its preflight is answered without a key, its answers carry its name; others learn nothing."""
    await api.configure(allowed_origins=["https://app.example.com"])
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    preflight = await api.ask("OPTIONS", "/v1/actions/stop", headers=asked)
    assert preflight.status == 204
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answer = await api.ask("GET", "/v1/bots", key=await api.key("read"), headers={"Origin": asked["Origin"]})
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"
    stranger = await api.ask("OPTIONS", "/v1/bots", headers=asked | {"Origin": "https://evil.example"})
    assert (stranger.status, "access-control-allow-origin" in stranger.headers) == (403, False)


async def test_without_a_key_over_loopback_where_that_is_allowed(api: Api) -> None:
    """What `anonymous` says and no more; never for somebody behind a proxy of this machine."""
    await api.configure(anonymous="read")
    assert (await api.ask("GET", "/v1/bots")).status == 200
    assert (await api.ask("POST", "/v1/reload", json={})).status == 403
    for header in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        assert (await api.ask("GET", "/v1/bots", headers={header: "127.0.0.1"})).status == 401


# --- every answer --------------------------------------------------------------------------------------------------


async def test_answers_carry_careful_headers_and_a_name(api: Api) -> None:
    """Errors too; a client's own name is kept where it is harmless."""
    for path in ("/healthz", "/v1/bots"):
        answer = await api.ask("GET", path, headers={"X-Request-Id": "order-17"})
        assert answer.headers["x-request-id"] == "order-17"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert "server" not in answer.headers
    made = await api.ask("GET", "/healthz", headers={"X-Request-Id": "x" * 65})
    assert made.headers["x-request-id"] != "x" * 65
    assert len(made.headers["x-request-id"]) == 16


async def test_a_mistake_of_ours_is_found_by_its_name(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller learns that it was ours and the request's name; the log has the rest under that name."""

    def fail() -> None:
        raise ValueError("the inner works")

    monkeypatch.setattr(api.fleet.pool, "bots", fail)
    answer = await api.ask("GET", "/v1/bots", key=await api.key("read"), headers={"X-Request-Id": "find-me"})
    assert (answer.status, answer.body["detail"]["request_id"]) == (500, "find-me")
    assert "inner works" not in str(answer.body)
    await api.fleet.flush_logs()
    (line,) = [
        line
        for line in await api.fleet.control.logs(LogQuery(min_level=logging.ERROR))
        if "request=find-me" in line["text"]
    ]
    assert "the inner works" in line["exception"]


async def test_what_a_request_began_is_not_named_by_it() -> None:
    """A task begun on its behalf writes lines of its own once it has ended."""
    over, seen = asyncio.Event(), list[str]()

    async def later() -> None:
        seen.append(current_request.get().request_id)
        await over.wait()
        seen.append(current_request.get().request_id)

    tasks: list[asyncio.Task[None]] = []

    async def begin(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.ensure_future(later()))
        await eventually(lambda: seen)

    await Requests(begin)({"type": "http", "headers": [(b"x-request-id", b"r1")]}, None, None)  # type: ignore[arg-type]
    over.set()
    await tasks[0]
    assert seen == ["r1", ""]


async def test_the_page_loads_nothing_from_anywhere(api: Api) -> None:
    """Self-contained, its policy forbids anything else; the document says what each route needs."""
    page = await api.ask("GET", "/v1/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "//" not in page.body.replace("<!doctype html>", "")
    assert "<script" not in page.body
    document = (await api.ask("GET", "/v1/openapi.json")).body
    assert document["paths"]["/v1/reload"]["post"]["x-scope"] == "operate"
    assert document["paths"]["/v1/reload"]["post"]["security"] == [{"key": []}]
    assert document["paths"]["/healthz"]["get"]["security"] == []
    assert not any(path.startswith("/v1/keys") for path in document["paths"])
