"""The demo: a sandbox, a fleet folder that points at it, people who write, and their conversation as lines of text."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import anyio
import tomli_w

from config.errors import ConfigError
from console.sandbox import voices
from console.sandbox.bots import Line, SandboxBot
from console.sandbox.people import People
from console.sandbox.server import Sandbox
from console.sandbox.troubles import Troubles
from workers.channels import open_channel
from workers.channels.frames import MORE_TO_COME
from workers.clock import Clock

if TYPE_CHECKING:
    from config.schema import BotConfig
    from workers.channels.base import Channel
    from workers.http import Http

MARK: Final = "# Written by the botdeck demo; the next demo in this folder writes it again."
MODEL_DELAY_S: Final = 0.4
PIECE_DELAY_S: Final = 0.12
"""Between two words of an answer that is shown while it is made."""
LINE_LIMIT: Final = 300

_NAMES: Final = {
    "support": "Support",
    "shop": "Shop",
    "poet": "Poet",
    "courier": "Courier",
    "gardener": "Gardener",
    "twin": "Twin",
    "club": "Club",
    "keeper": "Keeper",
}


async def make_demo_fleet(root: Path, sandbox: Sandbox) -> None:
    """Write a fleet of eight bots into root and register them with a started sandbox.

    Their tokens stand in `.env` (mode 0600), their model is the sandbox's own. Raises ConfigError when root holds a
    fleet that is not a demo.
    """
    sandbox.model.answer = voices.answer
    tokens = {bot_id: _bot_at(sandbox, bot_id).token for bot_id in _NAMES}
    await anyio.to_thread.run_sync(
        _write_fleet, root, sandbox.base_url, sandbox.base_file_url, sandbox.model_url, tokens
    )


def _bot_at(sandbox: Sandbox, bot_id: str) -> SandboxBot:
    username = f"{bot_id}_demo_bot"
    return sandbox.find_bot(username) or sandbox.add_bot(username=username, name=_NAMES[bot_id])


def _write_fleet(root: Path, base_url: str, base_file_url: str, model_url: str, tokens: dict[str, str]) -> None:
    fleet = root / "fleet.toml"
    if fleet.exists() and not fleet.read_text(encoding="utf-8").startswith(MARK):
        raise ConfigError(f"{root} holds a fleet already", "run the demo in another folder")
    (root / "bots").mkdir(parents=True, exist_ok=True)
    lines = [f"{_token_name(bot_id)}={token}" for bot_id, token in tokens.items()]
    _write_secret(root / ".env", "\n".join([*lines, "DEMO_MODEL_KEY=sandbox-key", ""]))
    _write_toml(fleet, _fleet_table(base_url, base_file_url, model_url))
    for bot_id in tokens:
        _write_toml(root / "bots" / f"{bot_id}.toml", _bot_table(bot_id))


def _fleet_table(base_url: str, base_file_url: str, model_url: str) -> dict[str, object]:
    return {
        "fleet": {"name": "demo"},
        "prices": [{"model": "sandbox-*", "input": 0.4, "output": 1.6}],
        "defaults": {
            "telegram": {"base_url": base_url, "base_file_url": base_file_url},
            "llm": {
                "provider": "openai",
                "base_url": model_url,
                "model": "sandbox-small",
                "api_key": "${DEMO_MODEL_KEY}",
            },
        },
    }


def _bot_table(bot_id: str) -> dict[str, object]:
    return {
        "name": _NAMES[bot_id],
        "client_id": "demo",
        "telegram": {"token": f"${{{_token_name(bot_id)}}}"},
        "prompts": {"system": voices.PROMPTS[bot_id]},
        **_TALENTS.get(bot_id, {}),
    }


_TALENTS: Final[dict[str, dict[str, object]]] = {
    "support": {
        "memory": {"profile": True},
        "commands": [
            {
                "name": "hours",
                "description": "When we are open",
                "descriptions": {"ru": "Часы работы"},
                "text": "Monday to Friday, **9 to 18**.",
                "buttons": ["/ticket The bell is gone"],
            },
            {"name": "ticket", "description": "Open a ticket", "prompt": "Open a ticket: {args}"},
        ],
    },
    "shop": {
        "reply": {"suggestions": True},
        "tools": [{"name": "calculator", "kind": "builtin"}, {"name": "time", "kind": "builtin"}],
    },
    "poet": {"reply": {"stream": "edit"}},
    "club": {"groups": {"respond": "mention"}},
    "keeper": {"access": {"mode": "pairing", "allow": [501]}},
}
"""What a bot does beside talking: keys of its file."""


def _token_name(bot_id: str) -> str:
    return f"{bot_id.upper()}_TOKEN"


def _write_toml(path: Path, table: dict[str, object]) -> None:
    path.write_text(f"{MARK}\n{tomli_w.dumps(table)}", encoding="utf-8")


def _write_secret(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)


class Demo:
    """A sandbox and people beside a fleet that somebody else runs.

    `async with Demo(root) as demo:` starts the sandbox and writes the fleet; then `await demo.run()` next to the
    fleet lets people talk and shows every line through `show` until cancelled (or until `rounds` are over).
    """

    def __init__(
        self,
        root: Path,
        *,
        port: int = 0,
        clock: Clock | None = None,
        seed: int = 1,
        pace: float = 1.0,
        rounds: int | None = None,
        troubles: bool = True,
        show: Callable[[str], None] = print,
    ) -> None:
        self.root = root
        self.sandbox = Sandbox(port=port, clock=clock)
        self.sandbox.model.delay_s = MODEL_DELAY_S / pace
        self.sandbox.model.piece_delay_s = PIECE_DELAY_S / pace
        self.people = People(self.sandbox, seed=seed, pace=pace, rounds=rounds)
        self._show = show
        self._pace = pace
        self._with_troubles = troubles
        self._troubles: Troubles | None = None

    def open_channel(self, bot_id: str, config: BotConfig, http: Http, clock: Clock) -> Channel:
        """Open a bot's channel as the demo wants it; for the fleet beside it."""
        make = open_channel if self._troubles is None else self._troubles.open_channel
        return make(bot_id, config, http, clock)

    async def __aenter__(self) -> Self:
        await self.sandbox.start()
        try:
            await make_demo_fleet(self.root, self.sandbox)
        except BaseException:
            await self.sandbox.stop()
            raise
        if self._with_troubles:
            bots = {bot_id: _bot_at(self.sandbox, bot_id) for bot_id in _NAMES}
            self._troubles = Troubles(self.root, bots, self.sandbox.clock, pace=self._pace)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.sandbox.stop()

    async def run(self) -> None:
        """Let people talk to each bot as soon as it listens, show the conversation, make trouble. Cancelling is safe."""
        self.sandbox.listeners.append(self._hear)
        try:
            async with anyio.create_task_group() as group:
                if self._troubles is not None:
                    group.start_soon(self._troubles.run)
                await self.people.run()
                group.cancel_scope.cancel()
        finally:
            self.sandbox.listeners.remove(self._hear)

    def _hear(self, bot: SandboxBot, line: Line) -> None:
        # Of an answer that is shown while it is made: its beginning and the whole, not each step.
        if not (line.method == "editMessageText" and line.text.endswith(MORE_TO_COME)):
            self._show(line_text(bot, line))


def line_text(bot: SandboxBot, line: Line) -> str:
    """Return one line of a conversation for a terminal: `12:00:01 anna → support: Hello`, nothing unprintable in it.

    A message that is edited, as an answer is that is shown while it is made, has ✎ in place of →.
    """
    local = datetime.fromtimestamp(line.at, tz=UTC).astimezone()
    person = bot.chats[line.chat_id].name if line.chat_id in bot.chats else str(line.chat_id)
    said_by, said_to = (bot.name, person) if line.by_bot else (line.name, bot.name)
    text = _printable(line.text or (f"({line.method})" if line.by_bot else "(a picture)"))
    arrow = "✎" if line.method.startswith("edit") else "→"
    return f"{local:%H:%M:%S} {_printable(said_by).lower()} {arrow} {_printable(said_to).lower()}: {text}"


def _printable(text: str) -> str:
    """Return text on one line without control characters: what people write must not steer a terminal."""
    flat = " / ".join(part.strip() for part in text.splitlines() if part.strip())
    clean = "".join(character for character in flat if character.isprintable())
    return clean if len(clean) <= LINE_LIMIT else clean[: LINE_LIMIT - 1] + "…"
