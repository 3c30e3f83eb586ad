"""`botdeck sandbox` as a process, and `init` against it."""

from __future__ import annotations

import json
import signal
import socket
import tomllib
import urllib.request
from pathlib import Path

import pytest

from console.commands.init import ENV_EXAMPLE
from console.commands.sandbox import EXAMPLE_TOKEN, PORT
from tests.operated import begin, botdeck, finish, read_until

pytestmark = pytest.mark.timeout(60)


def test_what_is_printed_fits_into_a_bot_file() -> None:
    """The lines are TOML for a bot file; the page answers; Ctrl-C ends it with 0."""
    process = begin("sandbox", "--port", "0")
    lines = read_until(process, "# write to the bots")
    told = tomllib.loads("\n".join(lines))
    assert told["telegram"]["token"] == EXAMPLE_TOKEN
    with urllib.request.urlopen(f"{told['telegram']['base_url']}{EXAMPLE_TOKEN}/getMe", timeout=10) as answer:
        assert json.load(answer)["result"]["username"] == "example_bot"
    with urllib.request.urlopen(lines[-1].rpartition(" ")[2], timeout=10) as page:
        assert b"<html" in page.read().lower()
    code, output = finish(process, signal.SIGINT)
    assert code == 0
    assert "Traceback" not in output


def test_as_many_bots_as_asked_for() -> None:
    """--bots N prints N tokens."""
    process = begin("sandbox", "--port", "0", "--bots", "3")
    lines = read_until(process, "# write to the bots")
    assert sum(line.startswith("token = ") for line in lines) == 3
    finish(process, signal.SIGTERM)


def test_a_taken_port_is_one_error() -> None:
    """Somebody else listens there: exit 1, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = botdeck("sandbox", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_init_writes_runs_against_it(tmp_path: Path) -> None:
    """A folder made by init runs as it is: its token and port are the sandbox's."""
    assert f"EXAMPLE_TOKEN={EXAMPLE_TOKEN}\n" in ENV_EXAMPLE
    assert f"TELEGRAM_BASE_URL=http://127.0.0.1:{PORT}/bot\n" in ENV_EXAMPLE
    sandbox = begin("sandbox", "--port", "0")
    url = read_until(sandbox, "# write to the bots")[-1].rpartition(" ")[2].rstrip("/")
    root = tmp_path / "fleet"
    assert botdeck("init", str(root)).returncode == 0
    env = {"TELEGRAM_BASE_URL": f"{url}/bot", "XDG_RUNTIME_DIR": str(tmp_path)}
    fleet = begin("run", "--no-ui", "-C", str(root), **env)
    read_until(fleet, "ready")
    body = json.dumps({"bot": "example_bot", "chat_id": 5, "text": "hello"}).encode()
    urllib.request.urlopen(
        urllib.request.Request(f"{url}/sandbox/say", body, {"Content-Type": "application/json"}), timeout=10
    ).close()
    assert first_answer(url) == "hello"
    assert finish(fleet)[0] == 0
    finish(sandbox)


def first_answer(url: str) -> str:
    """Wait for what the bot says first."""
    after = 0
    while True:
        query = f"bot=example_bot&after={after}&timeout=20"
        with urllib.request.urlopen(f"{url}/sandbox/messages?{query}", timeout=30) as answer:
            found = json.load(answer)
        said = [line["text"] for line in found["lines"] if line["by_bot"] and line["method"] == "sendMessage"]
        if said:
            return str(said[0])
        assert found["lines"], "the bot does not answer"
        after = found["last"]
