"""Bots' files through every Control: read, tried, saved, added."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
import tomli_w

from config.errors import ConfigError
from config.vocabulary import Phase
from console.control import Control, EventQuery
from console.errors import BadRequest, Conflict
from console.runtime import Fleet
from console.sandbox.server import Sandbox
from tests.waiting import eventually
from workers.errors import NoSuchBot

pytestmark = pytest.mark.anyio

WAIT_S = 20.0


def path_of(fleet: Fleet, bot_id: str) -> Path:
    return fleet.place.root / "bots" / f"{bot_id}.toml"


def changed(text: str, section: str, **keys: object) -> str:
    """Return a bot's text with keys of a section set."""
    data = tomllib.loads(text)
    data[section] = data.get(section, {}) | keys
    return tomli_w.dumps(data)


async def test_a_file_is_read_as_it_lies_there(control: Control, fleet: Fleet) -> None:
    """Its text to the last blank, also a bad one; a name that is no bot's is refused."""
    path = path_of(fleet, "gamma")
    found = await control.config_file("gamma")
    assert (found["bot_id"], found["file"], found["text"]) == ("gamma", str(path), path.read_text())
    path.write_text(found["text"] + "# \n")
    assert (await control.config_file("gamma"))["digest"] != found["digest"]
    for name in ("nobody", "../fleet"):
        with pytest.raises((NoSuchBot, BadRequest)):
            await control.config_file(name)


@pytest.mark.parametrize(
    ("section", "keys", "disturbs"),
    [
        ("llm", {}, "nothing"),
        ("prompts", {"system": "Be brief."}, "next_turn"),
        ("limits", {"max_lanes": 7}, "in_place"),
        ("telegram", {"token": "654321:" + "x" * 35}, "restart"),
    ],
)
async def test_a_preview_says_what_a_text_would_disturb(
    control: Control, fleet: Fleet, section: str, keys: dict[str, object], disturbs: str
) -> None:
    """The strongest effect, the keys and the diff, and nothing is written or applied."""
    before = path_of(fleet, "alpha").read_text()
    spec = fleet.spec("alpha")
    seen = await control.preview("alpha", changed(before, section, **keys))
    assert (seen["ok"], seen["problems"], seen["disturbs"]) == (True, [], disturbs)
    assert [change["keys"] for change in seen["changes"]] == ([[f"{section}.{name}" for name in keys]] if keys else [])
    assert bool(seen["diff"]) == bool(keys)
    assert path_of(fleet, "alpha").read_text() == before
    assert fleet.spec("alpha") is spec


async def test_a_preview_of_a_bad_text_names_the_places(control: Control, fleet: Fleet) -> None:
    """Every mistake with line and column: of the syntax, of a key, of a value."""
    before = path_of(fleet, "alpha").read_text()
    seen = await control.preview("alpha", 'name = "x"\n[llm\n')
    assert (seen["ok"], [(p["line"], p["column"]) for p in seen["problems"]]) == (False, [(2, 5)])
    seen = await control.preview("alpha", f'{before}\n[memory]\nturn = 3\n[limits]\nworkers = "many"\n')
    lines = before.count("\n")
    assert {p["line"] for p in seen["problems"]} == {lines + 3, lines + 5}
    assert seen["disturbs"] == "nothing"
    for more, line in (("# \ud800\n", lines + 1), ("# " + "x" * 1024 * 1024, 0)):
        [problem] = (await control.preview("alpha", before + more))["problems"]
        assert problem["line"] == line, "no file can hold this"


async def test_a_preview_tells_of_a_token_another_bot_has(control: Control, fleet: Fleet) -> None:
    """Two bots with one token would fight: the other file is named, the token is not."""
    beta = path_of(fleet, "beta").read_text()
    token = tomllib.loads(beta)["telegram"]["token"]
    alpha = path_of(fleet, "alpha").read_text()
    seen = await control.preview("alpha", changed(alpha, "telegram", token=token))
    assert not seen["ok"]
    assert "bots/beta.toml" in seen["problems"][0]["message"]
    assert token not in json.dumps(seen["problems"])


async def test_saving_applies_at_once(control: Control, fleet: Fleet) -> None:
    """The text is on the disk, the fleet runs by it, and who did it is written down."""
    found = await control.config_file("alpha")
    text = changed(found["text"], "prompts", system="Be brief.")
    done = await control.save_config("alpha", text, expected_digest=found["digest"], actor="test:ana")
    assert path_of(fleet, "alpha").read_text() == text
    assert (done["problems"], [(c["bot_id"], c["keys"]) for c in done["changes"]]) == (
        [],
        [("alpha", ["prompts.system"])],
    )
    assert done["digest"] == (await control.config_file("alpha"))["digest"]
    spec = fleet.spec("alpha")
    assert spec is not None
    assert spec.config.prompts.system == "Be brief."
    acted = await control.events(EventQuery(("alpha",), kinds=("OperatorActed",)))
    assert [(event["data"]["action"], event["actor"]) for event in acted] == [("edit", "test:ana")]


async def test_a_bad_bot_is_mended_by_saving(control: Control, fleet: Fleet) -> None:
    """A bot whose file never was good starts when a good one is saved."""
    found = await control.config_file("gamma")
    seen = await control.preview("gamma", 'channel = "none"\n')
    assert (seen["ok"], seen["disturbs"]) == (True, "restart")
    await control.save_config("gamma", 'channel = "none"\n', expected_digest=found["digest"], actor="test")
    assert await control.wait(["gamma"], [Phase.RUNNING], timeout_s=WAIT_S) == []


async def test_a_text_with_mistakes_is_never_saved(control: Control, fleet: Fleet) -> None:
    """It is refused with the places, and file and bot stay as they are."""
    found = await control.config_file("alpha")
    with pytest.raises(ConfigError, match=r"alpha\.toml:1:1"):
        await control.save_config("alpha", "naem = 1\n", expected_digest=found["digest"], actor="test")
    assert path_of(fleet, "alpha").read_text() == found["text"]


async def test_a_file_somebody_else_changed_is_not_overwritten(control: Control, fleet: Fleet) -> None:
    """Conflict: what the other one wrote stays; so does a file that cannot be read any more."""
    path = path_of(fleet, "gamma")
    found = await control.config_file("gamma")
    path.write_text("naem = 2\n")
    with pytest.raises(Conflict):
        await control.save_config("gamma", 'channel = "none"\n', expected_digest=found["digest"], actor="test")
    assert path.read_text() == "naem = 2\n"
    path.write_bytes(b"")
    empty = await control.config_file("gamma")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Conflict):
        await control.save_config("gamma", 'channel = "none"\n', expected_digest=empty["digest"], actor="test")
    assert path.read_bytes() == b"\xff\xfe"


async def test_saving_keeps_a_link_and_a_mode(control: Control, fleet: Fleet, tmp_path: Path) -> None:
    """A file behind a link is replaced where it lies; who may read it stays the same."""
    path, real = path_of(fleet, "alpha"), tmp_path / "real.toml"
    text = path.read_text()
    real.write_text(text)
    real.chmod(0o640)
    path.unlink()
    path.symlink_to(real)
    found = await control.config_file("alpha")
    await control.save_config("alpha", f"{text}# more\n", expected_digest=found["digest"], actor="test")
    assert path.is_symlink()
    assert real.read_text() == f"{text}# more\n"
    assert real.stat().st_mode & 0o777 == 0o640
    assert not list(tmp_path.glob(".*.tmp"))


async def test_no_secret_of_elsewhere_is_in_an_answer(control: Control, fleet: Fleet, double: Sandbox) -> None:
    """What .env holds is in no answer about a file that only names it."""
    token = double.add_bot(username="delta_bot").token
    (fleet.place.root / ".env").write_text(f"DELTA={token}\n")
    text = f'[telegram]\ntoken = "${{DELTA}}"\nbase_url = "{double.base_url}"\n'
    path_of(fleet, "delta").write_text(text)
    await control.reload(actor="test")
    found = await control.config_file("delta")
    seen = await control.preview("delta", f"{text}[llm]\nprovider = 7\n")
    done = await control.save_config(
        "delta", f'{text}[prompts]\nsystem = "x"\n', expected_digest=found["digest"], actor="t"
    )
    assert token not in json.dumps([found, seen, done])


# --- the file all bots share -------------------------------------------------------------------------------------


async def test_the_fleet_file_is_tried_like_a_bot_file(control: Control, fleet: Fleet) -> None:
    """What it would change is said of the fleet and of every bot; a mistake has its place; nothing is written."""
    path = fleet.place.root / "fleet.toml"
    before = path.read_text()
    found = await control.config_file("_fleet")
    assert (found["bot_id"], found["file"], found["text"]) == ("_fleet", str(path), before)
    seen = await control.preview("_fleet", changed(before, "retention", logs_days=3))
    assert [(row["bot_id"], row["keys"]) for row in seen["changes"]] == [("_fleet", ["retention.logs_days"])]
    assert (seen["ok"], seen["disturbs"]) == (True, "in_place")
    assert "+logs_days = 3" in seen["diff"]
    seen = await control.preview("_fleet", changed(before, "defaults", prompts={"system": "Be brief."}))
    assert {row["bot_id"]: row["effect"] for row in seen["changes"]}["alpha"] == "next turn"
    assert seen["disturbs"] == "next_turn"
    seen = await control.preview("_fleet", f"{before}\n[strat]\nrate = 1\n")
    [problem] = seen["problems"]
    assert (problem["file"], problem["line"], seen["ok"]) == (str(path), before.count("\n") + 2, False)
    assert path.read_text() == before


async def test_a_fleet_file_that_would_break_a_bot_is_refused(control: Control, fleet: Fleet) -> None:
    """Its own mistakes and those it makes of a bot's file; the file stays as it was."""
    found = await control.config_file("_fleet")
    for text, place in (
        (f"{found['text']}\n[strat]\n", r"fleet\.toml:\d+:\d+"),
        (changed(found["text"], "defaults", llm={"temperature": "warm"}), r"fleet\.toml:\d+:\d+"),
    ):
        with pytest.raises(ConfigError, match=place):
            await control.save_config("_fleet", text, expected_digest=found["digest"], actor="test")
    assert (await control.config_file("_fleet"))["text"] == found["text"]


async def test_a_saved_fleet_file_is_live(control: Control, fleet: Fleet) -> None:
    """Bots have the new default, the fleet its new setting; it is noted who did it; a stale save is refused."""
    found = await control.config_file("_fleet")
    text = changed(changed(found["text"], "defaults", prompts={"system": "Be brief."}), "retention", logs_days=3)
    done = await control.save_config("_fleet", text, expected_digest=found["digest"], actor="test:ana")
    assert {"_fleet", "alpha"} <= {row["bot_id"] for row in done["changes"]}
    spec = fleet.spec("alpha")
    assert spec is not None
    assert spec.config.prompts.system == "Be brief."
    assert fleet.snapshot.fleet.retention.logs_days == 3
    acted = await control.events(EventQuery(("_fleet",), kinds=("OperatorActed",)))
    assert [(event["data"]["action"], event["actor"]) for event in acted] == [("edit", "test:ana")]
    with pytest.raises(Conflict):
        await control.save_config("_fleet", "", expected_digest=found["digest"], actor="test")


async def test_a_fleet_without_a_file_gets_one(control: Control, fleet: Fleet) -> None:
    """A fleet may do without fleet.toml: it reads as empty, and is written when saved."""
    path = fleet.place.root / "fleet.toml"
    path.unlink()
    found = await control.config_file("_fleet")
    assert found["text"] == ""
    await control.save_config("_fleet", '[fleet]\nname = "new"\n', expected_digest=found["digest"], actor="test")
    assert path.read_text() == '[fleet]\nname = "new"\n'


# --- adding ----------------------------------------------------------------------------------------------------


async def test_a_bot_is_added_and_runs(control: Control, fleet: Fleet, double: Sandbox) -> None:
    """A literal token goes into .env and not into the file; the bot is asked who it is, and runs."""
    token = double.add_bot(username="delta_bot", name="Delta").token
    done = await control.add_bot(
        {"bot_id": "delta", "token": token, "telegram_url": double.base_url, "provider": "echo", "prompt": "Be kind."},
        actor="test:ana",
    )
    path = path_of(fleet, "delta")
    assert done == {"bot_id": "delta", "file": str(path), "username": "delta_bot"}
    assert token not in path.read_text()
    assert f"DELTA_TOKEN={token}" in (fleet.place.root / ".env").read_text()
    assert await control.wait(["delta"], [Phase.RUNNING], timeout_s=WAIT_S) == []
    spec = fleet.spec("delta")
    assert spec is not None
    assert (spec.config.name, spec.config.prompts.system) == ("Delta", "Be kind.")
    acted = await control.events(EventQuery(("delta",), kinds=("OperatorActed",)))
    assert [(event["data"]["action"], event["actor"]) for event in acted] == [("add", "test:ana")]


async def test_a_bot_is_added_by_a_reference(control: Control, fleet: Fleet, double: Sandbox) -> None:
    """A secret that is only named is not asked about, and .env is left alone."""
    token = double.add_bot(username="delta_bot").token
    (fleet.place.root / ".env").write_text(f"MINE={token}\n")
    draft = {"bot_id": "delta", "token": "${MINE}", "telegram_url": double.base_url}
    await control.add_bot(draft, actor="test")  # type: ignore[arg-type]
    assert (fleet.place.root / ".env").read_text() == f"MINE={token}\n"
    assert await control.wait(["delta"], [Phase.RUNNING], timeout_s=WAIT_S) == []


async def test_what_cannot_be_added_leaves_nothing(control: Control, fleet: Fleet, double: Sandbox) -> None:
    """A bot that exists, a token Telegram does not know, one in use, a bad name, no token: refused, nothing written."""
    used = tomllib.loads(path_of(fleet, "alpha").read_text())["telegram"]["token"]
    url = {"telegram_url": double.base_url}
    for draft, refusal, words in (
        ({"bot_id": "alpha", "token": "${X}"}, ConfigError, "alpha already"),
        ({"bot_id": "delta", "token": "999999:" + "b" * 35, **url}, ConfigError, "not accepted"),
        ({"bot_id": "delta", "token": used, **url}, ConfigError, r"claimed by bots/alpha\.toml"),
        ({"bot_id": "../up", "token": "${X}"}, ConfigError, "cannot name a bot"),
        ({"bot_id": "delta", "token": ""}, BadRequest, "a name and a token"),
    ):
        with pytest.raises(refusal, match=words) as refused:
            await control.add_bot(draft, actor="test")  # type: ignore[arg-type]
        assert used not in str(refused.value)
    assert not path_of(fleet, "delta").exists()
    assert not (fleet.place.root / ".env").exists()
    await eventually(lambda: fleet.pool.bot_ids() == {"alpha", "beta", "gamma"})
