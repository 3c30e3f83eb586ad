"""`botdeck bot add`: a token becomes a bot file, and the secret stays out of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
import uvloop
from click.testing import CliRunner

from console.cli import run
from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A double in a thread of its own: the command runs a loop itself."""
    double, ready, end = Sandbox(), threading.Event(), threading.Event()

    async def serve() -> None:
        async with double:
            ready.set()
            await anyio.to_thread.run_sync(end.wait)

    thread = threading.Thread(target=lambda: uvloop.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield double
    end.set()
    thread.join()


@pytest.fixture
def bot(sandbox: Sandbox) -> SandboxBot:
    return sandbox.add_bot(username="acme_bot", name="Acme")


def add(*arguments: str | Path, text: str | None = None) -> tuple[int, str]:
    runner = CliRunner()
    with runner.isolation(input=text) as streams:
        code = run(["bot", "add", *map(str, arguments)])
        return code, streams[0].getvalue().decode() + streams[1].getvalue().decode()


def test_a_token_goes_into_dotenv_and_its_name_into_the_file(sandbox: Sandbox, bot: SandboxBot, tmp_path: Path) -> None:
    """The bot file holds a reference, .env the secret with mode 0600; the output neither."""
    code, output = add("acme", "-C", tmp_path, "--token", bot.token, "--base-url", sandbox.base_url, "--yes")
    assert (code, bot.token in output) == (0, False)
    assert "@acme_bot" in output
    text = (tmp_path / "bots/acme.toml").read_text()
    assert '"${ACME_TOKEN}"' in text
    assert bot.token not in text
    assert f"ACME_TOKEN={bot.token}" in (tmp_path / ".env").read_text()
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    assert run(["check", "-C", str(tmp_path)]) == 0


def test_it_asks_before_it_writes_a_secret(sandbox: Sandbox, bot: SandboxBot, tmp_path: Path) -> None:
    """A no leaves nothing behind."""
    code, _ = add("acme", "-C", tmp_path, "--token", bot.token, "--base-url", sandbox.base_url, text="n\n")
    assert code == 130
    assert not (tmp_path / ".env").exists()
    assert not (tmp_path / "bots/acme.toml").exists()


def test_a_token_from_the_environment_is_only_named(
    sandbox: Sandbox, bot: SandboxBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--token-env writes no .env."""
    monkeypatch.setenv("ACME", bot.token)
    code, _ = add("acme", "-C", tmp_path, "--token-env", "ACME", "--base-url", sandbox.base_url)
    assert code == 0
    assert '"${ACME}"' in (tmp_path / "bots/acme.toml").read_text()
    assert not (tmp_path / ".env").exists()


def test_a_token_in_use_is_refused(sandbox: Sandbox, bot: SandboxBot, tmp_path: Path) -> None:
    """Two files with one Telegram bot would fight over its messages."""
    arguments = ("-C", tmp_path, "--token", bot.token, "--base-url", sandbox.base_url, "--yes")
    assert add("acme", *arguments)[0] == 0
    code, output = add("again", *arguments)
    assert code == 2
    assert "is the bot acme already" in output
    assert not (tmp_path / "bots/again.toml").exists()


def test_a_bad_token_is_refused_and_not_shown(sandbox: Sandbox, tmp_path: Path) -> None:
    """Telegram's no is passed on in one sentence without the token."""
    token = "999999:" + "b" * 35
    code, output = add("acme", "-C", tmp_path, "--token", token, "--base-url", sandbox.base_url, "--yes")
    assert code == 2
    assert token not in output
    assert "@BotFather" in output
    assert not (tmp_path / "bots/acme.toml").exists()


@pytest.mark.parametrize("arguments", [(), ("--token", "x", "--token-env", "Y")])
def test_one_token_source_is_needed(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Neither or both is a usage error."""
    assert add("acme", "-C", tmp_path, *arguments)[0] == 2


def test_without_a_network_the_token_is_not_blamed(tmp_path: Path) -> None:
    """What failed and where is said, and the way on, which works: nothing is asked, and a token in use is seen all the same."""
    token = "999999:" + "b" * 35
    arguments = ("-C", tmp_path, "--token", token, "--base-url", "http://127.0.0.1:9/bot", "--yes")
    code, output = add("acme", *arguments)
    assert code == 2
    assert "127.0.0.1:9: no connection: Connection refused" in output
    assert "BotFather" not in output
    assert "--no-check" in output
    assert not (tmp_path / "bots/acme.toml").exists()
    code, output = add("acme", *arguments, "--no-check")
    assert (code, "Telegram was not asked" in output) == (0, True)
    assert run(["check", "-C", str(tmp_path)]) == 0
    code, output = add("again", *arguments, "--no-check")
    assert (code, "is the bot acme already" in output) == (2, True)


def test_what_cannot_be_a_token_is_not_sent_anywhere(tmp_path: Path) -> None:
    """Nor is it repeated."""
    code, output = add("acme", "-C", tmp_path, "--token", "hello-world", "--no-check", "--yes")
    assert (code, "this is not a bot token" in output, "hello-world" in output) == (2, True, False)
    assert not (tmp_path / ".env").exists()


def test_what_is_no_address_is_said(tmp_path: Path) -> None:
    """In a sentence."""
    code, output = add("acme", "-C", tmp_path, "--token", "999999:" + "b" * 35, "--base-url", "nonsense", "--yes")
    assert (code, "'nonsense' is no address of a Bot API" in output) == (2, True)
