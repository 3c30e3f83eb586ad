"""A new bot from a few words: who the token belongs to, where its secrets go, the file that is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
from pydantic import ValidationError

from config.checks import telegram_id
from config.errors import ConfigError, ConfigInvalid, FleetError, Problem
from config.schema import BotConfig
from config.vocabulary import Secret
from config.write import bot_path, bot_text, remember_secret, variable_for, write_bot
from console.identify import identify_all
from workers.errors import TokenRejected

if TYPE_CHECKING:
    from config.snapshot import BotSpec, Snapshot
    from console.answers import Draft
    from workers.channels.base import Identity

Attempt = Callable[[str, str], Awaitable[tuple["BotSpec | None", tuple[Problem, ...]]]]
"""Says what a text would be in place of a bot's file: `Reloader.attempt`."""

REFERENCES: Final = ("${", "file:", "cmd:")

AGAIN: Final = "copy it again from @BotFather"
UNASKED: Final = (
    "try again when the network is back, or add it unasked: --no-check, in the form without the tick at getMe"
)
"""What to do about a token Telegram refuses, and about one it could not be asked about."""


async def add(root: Path, snapshot: Snapshot, draft: Draft, attempt: Attempt) -> dict[str, Any]:
    """Check a draft as the file it will be, put its literal secrets into .env, write the file.

    Returns {bot_id, file, username}; username is empty where Telegram was not asked. verify asks it who the token belongs
    to, at the address the fleet's files name. Raises ConfigError; nothing is written then, save a secret that was remembered before the file could not be written.
    """
    bot_id = draft["bot_id"]
    path = bot_path(root, bot_id)
    if path.exists():
        raise ConfigError(f"{path} exists already", "choose another name, or edit that file")
    trial = values_of(draft, draft["token"], draft.get("api_key", ""), bot_id)
    spec, problems = await attempt(bot_id, bot_text(trial))
    if problems or spec is None:
        raise ConfigInvalid(problems)
    identity = None
    refuse_if_used(snapshot, spec.config)
    if draft.get("verify", True) and spec.config.channel == "telegram":
        identity = accepted((await identify_all({bot_id: spec.config}))[bot_id])
    await anyio.to_thread.run_sync(_write, root, draft, identity)
    return {"bot_id": bot_id, "file": str(path), "username": identity.username if identity else ""}


def is_reference(text: str) -> bool:
    """Tell whether a text names a secret rather than being one."""
    return text.startswith(REFERENCES)


def config_of(token: Secret, base_url: str) -> BotConfig:
    """Return what is needed to ask Telegram about a token. Raises ConfigError for what can be neither token nor address."""
    telegram: dict[str, Any] = {"token": token} | ({"base_url": base_url} if base_url else {})
    try:
        config = BotConfig.model_validate({"telegram": telegram})
    except ValidationError:
        raise ConfigError(
            f"{base_url!r} is no address of a Bot API", "it begins with http:// or https:// and names a host"
        ) from None
    if telegram_id(config) is None:
        raise ConfigError("this is not a bot token: digits, a colon, then 30 or more letters, digits, _ and -", AGAIN)
    return config


async def identify(config: BotConfig) -> Identity:
    """Ask Telegram who a token belongs to. Raises ConfigError when it does not know it or cannot be reached."""
    return accepted((await identify_all({"new": config}))["new"])


def accepted(answer: Identity | FleetError) -> Identity:
    """Return who a token belongs to. Raises ConfigError with the reason when that is not known, and the way on."""
    if isinstance(answer, TokenRejected):
        raise ConfigError(f"the token was not accepted: {answer.message}", AGAIN) from answer
    if isinstance(answer, FleetError):
        raise ConfigError(f"whether the token is good is not known: {answer.message}", UNASKED) from answer
    return answer


def refuse_if_used(snapshot: Snapshot, config: BotConfig) -> None:
    """Raise ConfigError when a bot of the fleet has this token already. Needs no network: a token begins with its bot."""
    number = telegram_id(config)
    for bot_id, spec in snapshot.bots.items():
        if number is not None and telegram_id(spec.config) == number:
            raise ConfigError(f"Telegram's bot {number} is the bot {bot_id} already", f"edit {spec.path} instead")


def values_of(draft: Mapping[str, Any], token: str, api_key: str, name: str) -> dict[str, Any]:
    """Return the tables of a bot's file; token and api_key are references by now, empty = left out."""
    telegram = {"token": token, "base_url": draft.get("telegram_url", "")}
    llm = {
        "provider": draft.get("provider", ""),
        "model": draft.get("model", ""),
        "base_url": draft.get("base_url", ""),
        "api_key": api_key,
    }
    tables = {"telegram": telegram, "llm": llm, "prompts": {"system": draft.get("prompt", "")}}
    kept = {title: {key: value for key, value in table.items() if value} for title, table in tables.items()}
    return {"name": draft.get("name") or name, **{title: table for title, table in kept.items() if table}}


def _write(root: Path, draft: Draft, identity: Identity | None) -> None:
    bot_id = draft["bot_id"]
    token = _referred(root, draft["token"], variable_for(bot_id))
    api_key = _referred(root, draft.get("api_key", ""), variable_for(bot_id).removesuffix("_TOKEN") + "_API_KEY")
    write_bot(root, bot_id, values_of(draft, token, api_key, identity.name if identity and identity.name else bot_id))


def _referred(root: Path, text: str, name: str) -> str:
    """Return how a file names a secret; one typed in full goes into .env under a name. Raises ConfigError."""
    if not text or is_reference(text):
        return text
    remember_secret(root, name, Secret(text))
    return f"${{{name}}}"
