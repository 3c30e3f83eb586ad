"""Bots over HTTP: listed, registered, changed, steered, taken out; the folder's are left to their files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from console.attach import connect
from console.control import EventQuery
from tests.console.api_rig import Api, serving

pytestmark = pytest.mark.anyio

CONFIG = {"llm": {"provider": "echo"}, "prompts": {"system": "You sell shoes."}}


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f", anonymous="admin") as running:
        yield running


async def register(api: Api, bot_id: str = "shoes", **more: Any) -> Any:
    return await api.ask("POST", "/v1/bots", json={"bot_id": bot_id, "config": CONFIG, **more})


async def say(api: Api, bot_id: str = "shoes", **more: Any) -> Any:
    return await api.ask("POST", f"/v1/bots/{bot_id}/chat", json={"message": "hello", "conversation_id": "c", **more})


async def test_a_registered_bot_answers_at_once(api: Api) -> None:
    """201 with its version; it is listed beside the folder's, each with its origin, and talked to alike."""
    made = await register(api, metadata={"plan": "gold"})
    assert made.status == 201
    assert (made.body["bot_id"], made.body["version"], made.body["status"]) == ("shoes", 1, "active")
    assert (await say(api)).body["response"] == "hello"
    bots = (await api.ask("GET", "/v1/bots")).body["bots"]
    assert {row["bot_id"]: (row["origin"], row["phase"]) for row in bots} == {
        "echo": ("folder", "running"),
        "shoes": ("registered", "running"),
    }
    assert bots[0].keys() <= bots[1].keys()
    one = (await api.ask("GET", "/v1/bots/shoes")).body
    assert (one["metadata"], one["config"]) == ({"plan": "gold"}, CONFIG)
    assert (await api.ask("GET", "/v1/bots/echo")).body["origin"] == "folder"
    assert [row["conversation_id"] for row in (await api.ask("GET", "/v1/bots/shoes/conversations")).body] == ["c"]
    assert (await api.ask("GET", "/v1/bots/shoes/usage")).body[0]["calls"] == 1
    assert (await api.ask("GET", "/v1/bots/shoes/logs")).status == 200


async def test_the_console_sees_its_own_bots_only(api: Api) -> None:
    """What attaches knows workers: a registered bot is no row of its table."""
    await register(api)
    remote = await connect(api.fleet.place)
    assert [row["bot_id"] for row in (await remote.status())["bots"]] == ["echo"]


async def test_the_list_is_paged(api: Api) -> None:
    """By id, of one origin or of both."""
    for number in range(4):
        await register(api, f"s{number}")
    first = await api.ask("GET", "/v1/bots?limit=3")
    path = first.headers["link"].partition(">")[0].removeprefix("<")
    second = await api.ask("GET", path)
    found = [row["bot_id"] for page in (first, second) for row in page.body["bots"]]
    assert found == ["echo", "s0", "s1", "s2", "s3"]
    assert "link" not in second.headers
    registered = await api.ask("GET", "/v1/bots?origin=registered")
    assert [row["bot_id"] for row in registered.body["bots"]] == found[1:]


BAD_CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"llm": {"provider": "nobody"}}, "body.config.llm.provider"),
    ({"llm": {"provider": "openai", "model": "m", "base_url": "http://127.1/v1"}}, "body.config.llm.base_url"),
    (
        {"llm": {"provider": "openai", "model": "m", "api_key": "sk-abcdefghijklmnopqrstuvwx"}},
        "body.config.llm.api_key",
    ),
    ({"colour": "red"}, "body.config.colour"),
    ({"llm": {"provider": "openai", "model": "m", "api_key": "cmd:id"}}, "body.config.llm.api_key"),
]


async def test_a_bad_configuration_is_refused_by_its_keys(api: Api) -> None:
    """422 with dotted keys and reasons, no secret quoted; nothing is registered."""
    for config, where in BAD_CONFIGS:
        answer = await register(api, config=config)
        assert (answer.status, answer.body["error"]) == (422, "ValidationError")
        assert where in [mistake["where"] for mistake in answer.body["detail"]["mistakes"]]
        assert "abcdefghijkl" not in json.dumps(answer.body)
        assert (await api.ask("GET", "/v1/bots/shoes")).status == 404


BAD_IDS: list[str] = ["", "UPPER", "../x", "a" * 51, "_fleet", "a b"]


async def test_a_bad_id_is_refused(api: Api) -> None:
    """422, whatever it is."""
    for bot_id in BAD_IDS:
        assert (await register(api, bot_id)).status == 422


async def test_a_name_belongs_to_one_bot(api: Api) -> None:
    """A file wins: a registration of its name is refused, naming it; one registered before rests while there is a file."""
    refused = await register(api, "echo")
    assert (refused.status, refused.body["error"]) == (409, "ConflictError")
    assert "bots/echo.toml" in refused.body["detail"]["hint"]
    await register(api)
    assert (await register(api)).status == 409
    path = api.fleet.place.root / "bots" / "shoes.toml"
    path.write_text('channel = "none"\n[llm]\nprovider = "echo"\n')
    await api.fleet.control.reload(actor="test")
    rows = (await api.ask("GET", "/v1/bots")).body["bots"]
    assert [row["origin"] for row in rows] == ["folder", "folder"]
    assert (await say(api)).status == 200
    path.unlink()
    await api.fleet.control.reload(actor="test")


CHANGES: list[tuple[str, str]] = [
    ("PATCH", ""),
    ("DELETE", ""),
    ("GET", "/registrations"),
    ("POST", "/registrations/1/restore"),
]


async def test_a_bot_of_the_folder_is_changed_in_its_file(api: Api) -> None:
    """409 that says which."""
    for method, path in CHANGES:
        answer = await api.ask(method, f"/v1/bots/echo{path}", json={} if method == "PATCH" else None)
        assert (answer.status, answer.body["error"]) == (409, "ConflictError")
        assert str(api.fleet.place.root / "bots" / "echo.toml") in answer.body["detail"]["hint"]


async def test_a_change_is_merged_and_counts_from_the_next_question_on(api: Api) -> None:
    """Null takes a key out, what is not named stays; the conversation goes on."""
    await register(api, metadata={"plan": "gold", "seats": 3})
    await say(api)
    changed = await api.ask(
        "PATCH", "/v1/bots/shoes", json={"config": {"prompts": None, "name": "Shoes"}, "metadata": {"plan": "tin"}}
    )
    assert changed.body["config"] == {"llm": {"provider": "echo"}, "name": "Shoes"}
    assert (changed.body["version"], changed.body["metadata"]) == (2, {"plan": "tin", "seats": 3})
    assert (await say(api)).body["usage"]["tokens_in"] == 8
    refused = await api.ask("PATCH", "/v1/bots/shoes", json={"config": {"llm": {"provider": "nobody"}}})
    assert refused.status == 422
    assert (await say(api)).status == 200
    assert (await api.ask("PATCH", "/v1/bots/nobody", json={})).status == 404


async def test_changes_at_once_are_all_kept(api: Api) -> None:
    """Each is merged into what the others made of it."""
    await register(api)
    await asyncio.gather(*(api.ask("PATCH", "/v1/bots/shoes", json={"metadata": {f"m{n}": n}}) for n in range(8)))
    assert len((await api.ask("GET", "/v1/bots/shoes")).body["metadata"]) == 8


async def test_one_registration_of_many_at_once_wins(api: Api) -> None:
    """The others are told that it is there."""
    answers = await asyncio.gather(*(register(api) for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [201, *[409] * 5]


async def test_versions_are_kept_compared_and_restored(api: Api) -> None:
    """The history of a bot, one version, the difference of two by dotted key; an older one comes back as a new version."""
    await register(api)
    await api.ask("PATCH", "/v1/bots/shoes", json={"config": {"prompts": {"system": "You sell hats."}}})
    versions = (await api.ask("GET", "/v1/bots/shoes/registrations")).body
    assert [each["version"] for each in versions] == [1, 2]
    [changed] = (await api.ask("GET", "/v1/bots/shoes/registrations/diff?before=1&after=2")).body
    assert (changed["key"], changed["kind"], changed["after"]) == ("prompts.system", "changed", "You sell hats.")
    restored = await api.ask("POST", "/v1/bots/shoes/registrations/1/restore")
    assert (restored.body["version"], restored.body["config"]) == (3, CONFIG)
    assert (await api.ask("GET", "/v1/bots/shoes/registrations/2")).body["config"]["prompts"] == {
        "system": "You sell hats."
    }
    assert (await api.ask("GET", "/v1/bots/shoes/registrations/9")).status == 404
    assert (await api.ask("GET", "/v1/bots/nobody/registrations")).status == 404


async def test_taken_out_it_answers_nobody_and_can_come_back(api: Api) -> None:
    """404 then; conversations and versions are kept."""
    await register(api)
    await say(api)
    assert (await api.ask("DELETE", "/v1/bots/shoes")).body == {"bot_id": "shoes", "removed": True, "version": 1}
    for answer in (await say(api), await api.ask("GET", "/v1/bots/shoes"), await api.ask("DELETE", "/v1/bots/shoes")):
        assert answer.status == 404
    assert (await api.ask("POST", "/v1/bots/shoes/registrations/1/restore")).status == 200
    assert (await say(api)).status == 200
    found = await api.ask("GET", "/v1/bots/shoes/conversations")
    assert found.body[0]["turns"] == 2


async def test_registered_bots_start_stop_and_reload(api: Api) -> None:
    """Stopped it answers nobody (409) and is listed so; it has no worker to restart or pause."""
    await register(api)
    await say(api)
    for action, status in (("stop", 409), ("reload", 409), ("start", 200), ("reload", 200)):
        steered = await api.ask("POST", f"/v1/bots/shoes/{action}", json={"reason": "test"})
        assert steered.body == {"bot_id": "shoes", "action": action, "ok": True}
        assert (await say(api)).status == status
    for action in ("restart", "pause", "resume"):
        assert (await api.ask("POST", f"/v1/bots/shoes/{action}")).status == 409
    await api.ask("POST", "/v1/bots/shoes/stop")
    row = next(r for r in (await api.ask("GET", "/v1/bots")).body["bots"] if r["bot_id"] == "shoes")
    assert (row["phase"], row["status"]) == ("stopped", "inactive")
    assert (await api.ask("POST", "/v1/bots/nobody/start")).status == 404


async def test_bots_of_the_folder_are_steered_in_their_workers(api: Api) -> None:
    """The intent is stored with the key as its actor; what makes no sense is 409."""
    key = await api.key("operate")
    for action in ("stop", "start", "pause", "resume", "restart", "reload"):
        answer = await api.ask("POST", f"/v1/bots/echo/{action}", key=key, json={"actor": "somebody else"})
        assert answer.body == {"bot_id": "echo", "action": action, "ok": True}, action
    acted = await api.fleet.control.events(EventQuery(("echo",), kinds=("OperatorActed",)))
    assert {line["actor"] for line in acted} == {"key:operate-all"}


async def test_who_registered_is_written_down(api: Api) -> None:
    """An event for every mutation, with the actor."""
    await register(api)
    await api.ask("PATCH", "/v1/bots/shoes", json={"metadata": {"a": 1}}, key=await api.key("admin"))
    await api.ask("DELETE", "/v1/bots/shoes")
    lines = await api.fleet.journals.kept.events_of(["shoes"], EventQuery())
    acted = [(line["data"]["action"], line["actor"]) for line in lines if line["kind"] == "OperatorActed"]
    assert acted == [("register", "anonymous"), ("register", "key:admin-all"), ("unregister", "anonymous")]


async def test_registrations_stand_on_the_fleets_own_files(api: Api) -> None:
    """[defaults] lie beneath them and .env has their variables, as they are at the moment."""
    root = api.fleet.place.root
    (root / ".env").write_text("SHOP=Ada's\n")
    await api.configure(anonymous="admin")
    with (root / "fleet.toml").open("a") as file:
        file.write('[defaults.llm]\nprovider = "echo"\n[defaults.prompts]\nsystem = "one two three"\n')
    await api.fleet.control.reload(actor="test")
    assert (await register(api, config={"name": "${SHOP} shoes"})).status == 201
    assert (await say(api)).body["usage"]["tokens_in"] == 4
    bot = await api.fleet.tenants.bot("shoes")
    assert bot.spec().config.name == "Ada's shoes"


async def test_a_bot_whose_registration_is_bad_by_now_says_so_to_nobody(api: Api) -> None:
    """500 ConfigurationError: why is in the log, not in the answer."""
    await api.fleet.tenants.registry.register("shoes", {"llm": {"provider": "nobody"}}, skip_validation=True)
    answer = await say(api)
    assert (answer.status, answer.body["error"]) == (500, "ConfigurationError")
    assert "nobody" not in answer.body["message"]
    assert answer.body["detail"]["request_id"]
