"""say, conversations and reload, as typed, against a fleet that runs and one that does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from console.commands.say import Growing
from console.rows import change_words
from tests.console.holding import give_tool
from tests.operated import World, finish
from tests.terminals import Terminal

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("w"))
    for bot_id in ("alpha", "beta"):
        made.add_bot(bot_id)
    made.add_bot("gamma")
    give_tool(made.root, "gamma", made.root / "go")
    made.start()
    made.ask("alpha", "where is my parcel?", 501)
    made.ask("alpha", "thank\u001b[2Jyou", 502)
    yield made
    made.end()


def test_say_prints_the_answer_and_what_it_took(world: World) -> None:
    """The answer on stdout, alone; tokens and time on stderr; JSON holds all of it."""
    done = world.cli("say", "alpha", "two", "words")
    assert (done.returncode, done.stdout) == (0, "two words\n")
    assert "tokens" in done.stderr
    said = json.loads(world.cli("say", "alpha", "--session", "other", "--json", "hello").stdout)
    assert (said["text"], said["error"], said["provider"]) == ("hello", "", "echo")
    listed = json.loads(world.cli("conversations", "alpha", "--json").stdout)
    assert {"operator:cli", "operator:other"} <= {row["conversation_id"] for row in listed if row["operator"]}
    assert world.cli("say", "nobody", "hello").returncode == 4
    assert world.cli("say", "alpha").returncode == 2


def test_say_shows_an_answer_on_a_terminal_while_it_is_made(world: World) -> None:
    """A tool that runs is told at once; what follows is added to it, with what it took at the end."""
    terminal = Terminal.botdeck(
        "say", "gamma", "do", "hold", "-C", str(world.root), XDG_RUNTIME_DIR=str(world.runtime)
    )  # fmt: skip
    try:
        terminal.until("(tool hold …)")
        assert terminal.process.poll() is None
        (world.root / "go").touch()
        assert terminal.ended() == 0
        assert terminal.text.replace("\r", "").split("\n")[:2] == ["(tool hold …)", "let go"]
        assert "tokens" in terminal.text
    finally:
        terminal.end()


def test_an_answer_grows_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """What is new is added; what was taken back stays above a new beginning; nothing in it steers the terminal."""
    growing = Growing()

    def take(keep: int, more: str, whole: str = "", *tools: str) -> None:
        runs = [{"tool": tool, "running": True, "took_s": 0.0, "error": ""} for tool in tools]
        said = {"text": whole, "error": ""} if whole else None
        growing.take({"keep": keep, "more": more, "tools": runs, "age_s": 1.0, "said": said})  # type: ignore[typeddict-item]

    take(0, "one\n")
    take(4, "tw\x1b[2J")
    take(0, "ano", "", "search")
    take(3, "ther", "another\nend", "search")
    growing.break_line()
    out, err = capsys.readouterr()
    assert out == "one\ntw\\x1b[2J\nanother\nend\n"
    assert err == "(tool search …)\n(begins anew)\n"


def test_say_tells_when_there_is_no_answer(world: World) -> None:
    """Exit code 1 and why, and nothing on stdout."""
    path = world.root / "bots" / "beta.toml"
    good = path.read_text()
    path.write_text(
        good.replace('"echo"', '"openai"\nmodel = "m"\napi_key = "k-123456"\nbase_url = "http://127.0.0.1:9"')
    )
    assert world.cli("reload").returncode == 0
    done = world.cli("say", "beta", "hello")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no answer:")
    assert json.loads(world.cli("say", "beta", "--json", "hello").stdout)["error"]
    path.write_text(good)
    assert world.cli("reload").returncode == 0


def test_conversations_are_listed_and_read(world: World) -> None:
    """The list, one of them, a search in both; what people wrote cannot steer the terminal."""
    text = world.cli("conversations", "alpha").stdout
    assert "where is my parcel?" in text
    assert "\x1b" not in text
    found = world.cli("conversations", "alpha", "--search", "PARCEL", "--json")
    [row] = json.loads(found.stdout)
    read = world.cli("conversations", "alpha", row["conversation_id"])
    assert read.stdout.count("where is my parcel?") == 2
    assert "tokens" in read.stdout
    assert "\\x1b" in world.cli("conversations", "alpha", "502").stdout
    rows = json.loads(world.cli("conversations", "alpha", row["conversation_id"], "--json").stdout)
    assert [message["role"] for message in rows] == ["user", "assistant"]
    missing = world.cli("conversations", "alpha", "999")
    assert missing.returncode == 2
    assert "botdeck conversations alpha" in missing.stderr
    assert world.cli("conversations", "nobody").returncode == 4


def test_a_change_is_said_in_words() -> None:
    """What happened, the keys, and how much it disturbs."""
    change = {"bot_id": "a", "kind": "changed", "effect": "next_turn", "keys": ["llm.model"]}
    assert change_words(change) == "changed (llm.model: next turn)"
    assert change_words({"bot_id": "a", "kind": "added", "effect": None, "keys": []}) == "added"


def test_reload_says_what_is_wrong(world: World) -> None:
    """A mistake with its place and exit code 2; nothing when nothing changed."""
    assert world.cli("reload").stdout == "nothing changed\n"
    path = world.root / "bots" / "beta.toml"
    good = path.read_text()
    path.write_text(good + "[memory]\nturn = 3\n")
    done = world.cli("reload", "--json")
    assert done.returncode == 2
    assert [problem["bot_id"] for problem in json.loads(done.stdout)["problems"]] == ["beta"]
    assert "beta.toml:" in world.cli("reload").stderr
    path.write_text(good)
    assert world.cli("reload").returncode == 0


def test_without_a_fleet_conversations_are_read_from_its_database(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is written down is shown all the same; talking and reloading need a fleet that runs."""
    made = World(tmp_path_factory.mktemp("w"))
    try:
        made.add_bot("alpha")
        assert made.cli("conversations", "alpha").returncode == 4
        made.start()
        made.ask("alpha", "remember me")
        running = made.cli("conversations", "alpha", "--json").stdout
        assert made.fleet is not None
        finish(made.fleet)
        assert made.cli("conversations", "alpha", "--json").stdout == running
        conversation = json.loads(running)[0]["conversation_id"]
        assert "remember me" in made.cli("conversations", "alpha", conversation).stdout
        assert made.cli("conversations", "alpha", "--search", "nothing").stdout == "no conversations\n"
        assert made.cli("conversations", "alhpa").returncode == 4
        for command in (("say", "alpha", "x"), ("reload",)):
            assert made.cli(*command).returncode == 4
    finally:
        made.end()
