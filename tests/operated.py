"""A world of real processes: a sandbox, a fleet that polls it, and the command line an operator types."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import tomli_w

from tests import nursery

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 30


def botdeck(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one command line to its end."""
    command = [sys.executable, "-m", "console", *arguments]
    return nursery.run(
        command, timeout_s=PATIENCE_S, cwd=cwd, env=clean(environment), text=True, stdin=subprocess.DEVNULL
    )


def begin(*arguments: str, merged: bool = True, **environment: str) -> subprocess.Popen[str]:
    """Start one command line."""
    return nursery.start(
        [sys.executable, "-m", "console", *arguments],
        cwd=ROOT, env=clean(environment), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE,
    )  # fmt: skip


def clean(environment: dict[str, str]) -> dict[str, str]:
    """Return the process environment without the developer's own fleet, with what a test adds."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BOTDECK_") and k != "NOTIFY_SOCKET"}
    return kept | {"PYTHONUNBUFFERED": "1"} | environment


def read_until(process: subprocess.Popen[str], start: str) -> list[str]:
    """Return the lines up to the one that begins so; fail with all of them when the process ends before."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(start):
            return lines
    raise AssertionError(f"no line begins with {start!r}:\n" + "\n".join(lines))


def finish(process: subprocess.Popen[str], with_signal: int | None = signal.SIGTERM) -> tuple[int, str]:
    """Send a signal, wait for the end; return exit code and what was printed since."""
    if with_signal is not None:
        process.send_signal(with_signal)
    try:
        output, _ = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise AssertionError("did not end in time:\n" + output) from None
    return process.returncode, output


class World:
    """A sandbox process and the folder of a fleet that polls it; `start` runs the fleet."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "fleet"
        self.runtime = folder / "r"
        self.runtime.mkdir(mode=0o700)
        self.tokens: dict[str, str] = {}
        self.sandbox = begin("sandbox", "--port", "0")
        lines = read_until(self.sandbox, "# write to the bots")
        self.url = lines[-1].rpartition(" ")[2].rstrip("/")
        self.fleet: subprocess.Popen[str] | None = None

    def add_bot(self, bot_id: str, **sections: dict[str, Any]) -> None:
        """Register a bot with the sandbox and write its file."""
        self.tokens[bot_id] = self.post("bots", {"username": f"{bot_id}_bot"})["token"]
        telegram = {"token": self.tokens[bot_id], "base_url": f"{self.url}/bot", "poll_timeout_s": 5}
        data: dict[str, Any] = {"telegram": telegram, "llm": {"provider": "echo"}}
        for name, keys in sections.items():
            data[name] = data.get(name, {}) | keys
        path = self.root / "bots" / f"{bot_id}.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(tomli_w.dumps(data))

    def start(self, *arguments: str, **environment: str) -> str:
        """Run the fleet; return its ready line."""
        self.fleet = begin(
            "run", "--no-ui", "-C", str(self.root), *arguments, XDG_RUNTIME_DIR=str(self.runtime), **environment
        )
        return read_until(self.fleet, "ready")[-1]

    def cli(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Type a command in the fleet's folder."""
        return botdeck(*arguments, "-C", str(self.root), XDG_RUNTIME_DIR=str(self.runtime), **environment)

    def post(self, what: str, body: dict[str, Any]) -> Any:
        """Ask the sandbox for something."""
        request = urllib.request.Request(
            f"{self.url}/sandbox/{what}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def ask(self, bot_id: str, text: str, chat_id: int = 501) -> str:
        """Write to a bot as a person and wait for its answer."""
        after = self.get("messages", bot=f"{bot_id}_bot")["last"]
        self.post("say", {"bot": f"{bot_id}_bot", "chat_id": chat_id, "text": text})
        while True:
            answer = self.get("messages", bot=f"{bot_id}_bot", after=after, timeout=20)
            said = [line for line in answer["lines"] if line["by_bot"] and line["method"] == "sendMessage"]
            if said:
                return str(said[0]["text"])
            assert answer["lines"], f"{bot_id} does not answer"
            after = answer["last"]

    def get(self, what: str, **query: Any) -> Any:
        """Look something up at the sandbox."""
        words = "&".join(f"{name}={value}" for name, value in query.items())
        with urllib.request.urlopen(f"{self.url}/sandbox/{what}?{words}", timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def end(self) -> None:
        """End whatever still runs."""
        for process in (self.fleet, self.sandbox):
            if process is not None and process.poll() is None:
                process.kill()
            if process is not None:
                process.communicate()
