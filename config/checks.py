"""What no single key can tell: keys that need each other, and bots that get in each other's way."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from urllib.parse import urlsplit

from config.keys import KeyPath
from config.merge import Place, place_in
from config.providers import refusals
from config.realise import Realised
from config.resolve import Fault
from config.schema import BotConfig
from config.vocabulary import PROVIDERS, TOKEN_PATTERN

_TOKEN = re.compile(TOKEN_PATTERN, re.ASCII)


def telegram_id(config: BotConfig) -> int | None:
    """Return the Telegram bot id a bot's token names; None without a token of the right shape."""
    token = config.telegram.token.reveal() if config.telegram.token else ""
    return int(token.partition(":")[0]) if _TOKEN.fullmatch(token) else None


def bot_faults(config: BotConfig, made: Realised) -> Iterator[Fault]:
    """Yield what keeps a bot with valid keys from running. A disabled bot may be unfinished."""
    yield from _token_faults(config, made)
    yield from _llm_faults(config, made)


def claim(config: BotConfig) -> int | None:
    """Return the Telegram bot id a bot will poll as; None when it will not."""
    return telegram_id(config) if config.enabled and config.channel == "telegram" else None


def contested(claims: Iterable[tuple[str, int | None]]) -> Mapping[int, list[str]]:
    """Return Telegram id → bot_ids for every id that more than one bot claims."""
    by_id: dict[int, list[str]] = defaultdict(list)
    for bot_id, claimed in claims:
        if claimed is not None:
            by_id[claimed].append(bot_id)
    return {claimed: bot_ids for claimed, bot_ids in by_id.items() if len(bot_ids) > 1}


def _token_faults(config: BotConfig, made: Realised) -> Iterator[Fault]:
    path = ("telegram", "token")
    if made.has_failed(path):
        return
    token = config.telegram.token
    if token and not _TOKEN.fullmatch(token.reveal()):
        message = "is not a bot token: digits, a colon, then 30 or more letters, digits, _ and -"
        yield Fault(made.place(path), message, "copy it again from @BotFather")
    elif not token and config.enabled and config.channel == "telegram":
        what = "is missing" if token is None else "is empty"
        hint = 'token = "${NAME}", with NAME=… in .env; or enabled = false; or channel = "none"'
        place = _missing(made, path)
        yield Fault(place, f"{what}: a bot on Telegram needs its token", hint, value=token is not None)


def _llm_faults(config: BotConfig, made: Realised) -> Iterator[Fault]:
    llm = config.llm
    if made.has_failed(("llm", "provider")):
        return
    if llm.provider not in PROVIDERS:
        near = get_close_matches(llm.provider.lower(), PROVIDERS, n=1)
        hint = f"did you mean {near[0]}?" if near else ""
        words = " or ".join(f'"{name}"' for name in PROVIDERS)
        yield Fault(made.place(("llm", "provider")), f"is no known provider; allowed: {words}", hint)
        return
    for refusal in refusals(llm.provider, llm.options):
        place = made.place(("llm", "options", *refusal.path))
        yield Fault(place, refusal.message, refusal.hint, refusal.value)
    if not config.enabled or llm.provider != "openai":
        return
    if not llm.model and not made.has_failed(("llm", "model")):
        place = _missing(made, ("llm", "model"))
        yield Fault(place, 'is missing: provider "openai" needs a model', 'model = "gpt-4o-mini"', value=False)
    if not llm.api_key and not made.has_failed(("llm", "api_key")) and _needs_key(llm.base_url):
        hint = 'api_key = "${OPENAI_API_KEY}"; or base_url of a server of your own'
        yield Fault(_missing(made, ("llm", "api_key")), "is missing: api.openai.com needs a key", hint, value=False)


def _needs_key(base_url: str) -> bool:
    return urlsplit(base_url).hostname == "api.openai.com"


def _missing(made: Realised, path: KeyPath) -> Place:
    """Return the place of a key that is empty, or where it ought to stand in the bot's own file."""
    place = place_in(made.layers, path)
    own = made.layers[-1]
    return place if place and place.path[-1] == path[-1] else Place("bot", own.source, path)
