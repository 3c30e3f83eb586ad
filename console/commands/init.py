"""`botdeck init`: a new fleet folder that runs as it is."""

from __future__ import annotations

import os
from pathlib import Path

import click

from config.errors import ConfigError
from console.options import examples
from console.output import say

FLEET_TOML = """\
# The fleet as a whole. Every key is optional; docs/configuration.md lists them all.

[fleet]
name = "{name}"
database = "botdeck.db"          # one SQLite file, everything in it

# What every bot shares; a bot file says only what is different.
[defaults.memory]
type = "buffer"
max_messages = 20

[start]
rate_per_s = 10                  # bots started a second
max_starting = 20

[store]
durability = "full"              # every committed message survives a power cut

[log]
level = "info"
"""

BOT_TOML = """\
# One bot. Its id is the name of this file: example.
# A change is live as soon as you save; a mistake leaves the bot as it was and is reported.

name = "Example"
enabled = true
channel = "telegram"

[telegram]
# From @BotFather. Keep tokens in .env, beside fleet.toml, and name them here.
token = "${EXAMPLE_TOKEN}"
# Against the embedded Telegram (`botdeck sandbox`) the address comes from .env; without it, the real one.
base_url = "${TELEGRAM_BASE_URL:-https://api.telegram.org/bot}"
base_file_url = "${TELEGRAM_BASE_FILE_URL:-https://api.telegram.org/file/bot}"

[llm]
provider = "echo"                # repeats what it is told; no key, no cost
# A real model: "anthropic", or "openai" for any server that speaks as OpenAI does (OpenRouter, Ollama, vLLM, …).
# provider = "openai"
# model = "gpt-4o-mini"
# api_key = "${OPENAI_API_KEY}"
# base_url = "http://127.0.0.1:11434/v1"   # of a server of your own
# temperature = 0.3
# max_output_tokens = 800

[prompts]
system = "You are a friendly assistant. Answer briefly."

[reply]
error_text = "Sorry, I cannot answer right now. Please try again in a minute."
# stream = "auto"                # show answers while they are written

# [[llm.fallbacks]]              # who is asked when the model cannot answer
# provider = "anthropic"
# model = "claude-haiku-4-5"
# api_key = "${ANTHROPIC_API_KEY}"

# [[tools]]                      # what the model may call: built-in tools, Python functions, HTTP, MCP servers
# name = "time"
# kind = "builtin"

# [[commands]]
# name = "hours"
# description = "When we are open"
# text = "Monday to Friday, 9 to 17."
"""

ENV_EXAMPLE = """\
# Copy to .env (mode 0600) and fill in. botdeck only ever reads .env; it is never printed.

# A token of the embedded Telegram: `botdeck sandbox` takes it as it is. Replace it by one from @BotFather
# and remove the two addresses below.
EXAMPLE_TOKEN=100001:sandbox-token-for-trying-botdeck-out
TELEGRAM_BASE_URL=http://127.0.0.1:8081/bot
TELEGRAM_BASE_FILE_URL=http://127.0.0.1:8081/file/bot

# OPENAI_API_KEY=
# ANTHROPIC_API_KEY=
"""

GITIGNORE = """\
.env
*.db
*.db-wal
*.db-shm
*.db.lock
*.sock
"""


def files(root: Path) -> dict[Path, str]:
    """Return path → text of every file of a new fleet. `.env` starts as a copy of `.env.example`."""
    called = Path(os.path.abspath(root)).name  # noqa: PTH100 (resolving would follow links, which may go in circles)
    name = "".join(c for c in called if c.isprintable() and c not in '"\\') or "fleet"
    return {
        root / "fleet.toml": FLEET_TOML.format(name=name),
        root / "bots" / "example.toml": BOT_TOML,
        root / ".env.example": ENV_EXAMPLE,
        root / ".env": ENV_EXAMPLE,
        root / ".gitignore": GITIGNORE,
    }


def write_fleet(root: Path) -> list[Path]:
    """Write a new fleet folder; nothing that exists is touched. Returns the files written.

    Raises ConfigError when root holds a fleet already, or cannot be written.
    """
    written = []
    try:
        if (root / "fleet.toml").exists() or any((root / "bots").glob("*.toml")):
            hint = "choose another folder, or add a bot with `botdeck bot add`"
            raise ConfigError(f"{root} is a fleet already", hint)
        for path, text in files(root).items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                continue
            path.touch(mode=0o600 if path.name == ".env" else 0o644)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise ConfigError(f"cannot write {error.filename or root}: {error.strerror}") from error
    return written


@click.command(
    "init",
    short_help="Write a new fleet folder that runs as it is.",
    epilog=examples("botdeck init mybots", "botdeck sandbox &", "botdeck run --no-ui -C mybots"),
)
@click.argument("directory", default=".", type=click.Path(path_type=Path, file_okay=False))
def command(directory: Path) -> None:
    """Write a commented fleet into DIRECTORY (default: this folder): fleet.toml, bots/example.toml, .env.example, .gitignore.

    It runs as it is against the embedded Telegram of `botdeck sandbox`.
    """
    for path in write_fleet(directory):
        say(f"wrote {path}")
    where = "" if str(directory) == "." else f" -C {directory}"
    say("next:", err=True)
    say("  botdeck sandbox            # an embedded Telegram on 127.0.0.1:8081, in another terminal", err=True)
    say(f"  botdeck run --no-ui{where}", err=True)
