"""`botdeck bot add`: a token becomes a running bot in under a minute."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from config.vocabulary import PROVIDERS
from console.options import env_option, examples, fleet_option, yes_option
from console.output import say

if TYPE_CHECKING:
    from config.load import Snapshot
    from config.vocabulary import Secret
    from workers.channels.base import Identity


@click.command(
    "add",
    short_help="Validate a token and write a new bot file.",
    epilog=examples(
        "botdeck bot add support --token-env SUPPORT_TOKEN",
        "botdeck bot add sales --token 123456789:AA… --provider openai --model gpt-4o-mini",
        "botdeck bot add later --token-env LATER_TOKEN --no-check",
    ),
)
@click.argument("bot")
@fleet_option
@env_option
@click.option(
    "--token", help="The token itself: it is put into .env (mode 0600), never into the bot file. - reads stdin."
)
@click.option("--token-env", metavar="NAME", help="The variable in .env or the environment that holds the token.")
@click.option("--name", default="", help="Name shown to the operator; default: what Telegram calls it.")
@click.option("--provider", type=click.Choice(PROVIDERS), default="echo", show_default=True)
@click.option("--model", default="", help="Model name at the provider.")
@click.option("--llm-url", default="", help="Root of the provider's API.")
@click.option("--key-env", metavar="NAME", default="", help="The variable that holds the provider's API key.")
@click.option("--prompt", default="", help="The system prompt.")
@click.option("--base-url", default="", help="Bot API root, for a server of your own or the sandbox.")
@click.option("--no-check", is_flag=True, help="Do not ask Telegram whose the token is: without a network, say.")
@yes_option
def command(
    bot: str,
    root: Path,
    environment: str | None,
    token: str | None,
    token_env: str | None,
    no_check: bool,
    yes: bool,
    **more: str,
) -> None:
    """Ask Telegram who the token belongs to, refuse one in use, and write bots/BOT.toml. A running fleet starts it."""
    import anyio

    from config.vocabulary import Secret
    from config.write import bot_path, variable_for
    from console.adding import config_of, identify, refuse_if_used

    if (token is None) == (token_env is None):
        raise click.UsageError("give either --token or --token-env")
    path = bot_path(root, bot)
    if path.exists():
        raise click.UsageError(f"{path} exists already; choose another name, or edit that file")
    snapshot = _snapshot(root, environment)
    secret = (
        Secret(sys.stdin.readline().strip() if token == "-" else token) if token else _from_env(root, str(token_env))
    )
    config = config_of(secret, more["base_url"])
    refuse_if_used(snapshot, config)
    identity = None if no_check else anyio.run(identify, config)
    if token is not None:
        token_env = variable_for(bot)
        _remember(root, token_env, secret, yes=yes)
    _write(root, bot, identity, str(token_env), more)
    who = f"@{identity.username} ({identity.id})" if identity else "Telegram was not asked"
    say(f"added {bot}: {who}, {path}")
    if snapshot.warnings or not (root / "fleet.toml").exists():
        say("see `botdeck check`", err=True)


def _snapshot(root: Path, environment: str | None) -> Snapshot:
    from config.load import Loader

    return Loader(root, environment=environment).load()


def _from_env(root: Path, name: str) -> Secret:
    """Return the secret a variable holds, in the process environment or in .env."""
    import os

    from config.dotenv import read_dotenv
    from config.errors import ConfigError
    from config.vocabulary import Secret

    value = os.environ.get(name) or read_dotenv(root / ".env").values.get(name)
    if not value:
        raise ConfigError(f"the variable {name} is not set", f"put {name}=… into {root / '.env'}, or use --token")
    return Secret(value)


def _remember(root: Path, name: str, secret: Secret, *, yes: bool) -> None:
    from config.write import remember_secret

    if not yes and not click.confirm(f"put the token into {root / '.env'} as {name}?", default=True, err=True):
        raise click.Abort
    remember_secret(root, name, secret)


def _write(root: Path, bot: str, identity: Identity | None, token_env: str, more: dict[str, str]) -> None:
    from config.write import write_bot
    from console.adding import values_of

    draft = more | {"base_url": more["llm_url"], "telegram_url": more["base_url"]}
    key = f"${{{more['key_env']}}}" if more["key_env"] else ""
    write_bot(
        root, bot, values_of(draft, f"${{{token_env}}}", key, identity.name if identity and identity.name else bot)
    )
