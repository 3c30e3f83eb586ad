"""What no single key can tell: keys that need each other, and bots that get in each other's way."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import urlsplit

from config.keys import KeyPath
from config.merge import Place, find, holds, place_in
from config.promises import near_hint, table_faults
from config.providers import ROOTS, refusals
from config.realise import Realised
from config.resolve import Fault
from config.schema import BotConfig, LlmSection
from config.vocabulary import PROVIDERS, TOKEN_PATTERN

MODEL_HINTS = {"openai": 'model = "gpt-4o-mini"', "anthropic": 'model = "claude-haiku-4-5"'}
_TOKEN = re.compile(TOKEN_PATTERN, re.ASCII)


def telegram_id(config: BotConfig) -> int | None:
    """Return the Telegram bot id a bot's token names; None without a token of the right shape."""
    token = config.telegram.token.reveal() if config.telegram.token else ""
    return int(token.partition(":")[0]) if _TOKEN.fullmatch(token) else None


def bot_faults(config: BotConfig, made: Realised) -> Iterator[Fault]:
    """Yield what keeps a bot with valid keys from running. A disabled bot may be unfinished."""
    yield from _token_faults(config, made)
    yield from _llm_faults(config, made)
    yield from _voice_faults(config, made)
    yield from table_faults(config, made)


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
    yield from _foreign_key(config, made)
    for index, link in enumerate(config.llm.chain()):
        yield from _link_faults(config.enabled, link, made, ("llm", "fallbacks", index - 1) if index else ("llm",))


def _foreign_key(config: BotConfig, made: Realised) -> Iterator[Fault]:
    """Yield a key that a weaker layer gives for one provider while a stronger layer chooses another."""
    provider, path = config.llm.provider, ("llm", "api_key")
    givers = [index for index, layer in enumerate(made.layers) if holds(layer.values, path)]
    if provider not in ROOTS or not givers or made.has_failed(path):
        return
    named = [find(layer.values, ("llm", "provider")) for layer in made.layers[: givers[-1] + 1]]
    meant = next((name for name in reversed(named) if name is not None), provider)
    if meant in ROOTS and meant != provider:
        message = f'is of another provider than the api_key it would have, which stands beside "{meant}"'
        yield Fault(made.place(("llm", "provider")), message, "give it an api_key of its own")


def _link_faults(enabled: bool, link: LlmSection, made: Realised, table: KeyPath) -> Iterator[Fault]:
    """Yield what is wrong with one link of the chain; what a fallback takes over from [llm] is told there."""
    if made.has_failed(("llm", "provider")) or made.has_failed((*table, "provider")):
        return
    if link.provider not in PROVIDERS:
        words = " or ".join(f'"{name}"' for name in PROVIDERS)
        message, hint = f"is no known provider; allowed: {words}", near_hint(link.provider, PROVIDERS)
        place = made.place((*table, "provider"))
        if place.path[-1] == "provider":
            yield Fault(place, message, hint)
        return
    for refusal in refusals(link.provider, link.options):
        place = made.place((*table, "options", *refusal.path))
        if "options" in place.path:
            yield Fault(place, refusal.message, refusal.hint, refusal.value)
    if enabled and link.provider != "echo":
        yield from _lacking(link, made, table)


def _lacking(link: LlmSection, made: Realised, table: KeyPath) -> Iterator[Fault]:
    """Yield what a link of the chain needs to reach its provider, and has not."""
    provider = link.provider
    if not link.model and not made.has_failed((*table, "model")):
        place = _missing(made, (*table, "model"))
        yield Fault(place, f'is missing: provider "{provider}" needs a model', MODEL_HINTS[provider], value=False)
    failed = made.has_failed((*table, "api_key")) or made.has_failed(("llm", "api_key"))
    if not link.api_key and not failed and _needs_key(link.provider, link.base_url):
        host = urlsplit(ROOTS[provider]).hostname
        hint = f'api_key = "${{{provider.upper()}_API_KEY}}"; or base_url of a server of your own'
        yield Fault(_missing(made, (*table, "api_key")), f"is missing: {host} needs a key", hint, value=False)


def _voice_faults(config: BotConfig, made: Realised) -> Iterator[Fault]:
    voice = config.voice
    if not config.enabled or not voice.model or voice.api_key or made.has_failed(("voice", "api_key")):
        return
    if _needs_key("openai", voice.base_url):
        hint = 'api_key = "${OPENAI_API_KEY}"; or base_url of a server of your own'
        place = _missing(made, ("voice", "api_key"))
        yield Fault(place, "is missing: api.openai.com needs a key", hint, value=False)


def _needs_key(provider: str, base_url: str) -> bool:
    root = urlsplit(ROOTS[provider]).hostname
    return not base_url or urlsplit(base_url).hostname == root


def _missing(made: Realised, path: KeyPath) -> Place:
    """Return the place of a key that is empty, or where it ought to stand in the bot's own file."""
    place = place_in(made.layers, path)
    if place and place.path[-1] == path[-1]:
        return place
    if place and isinstance(place.path[-1], int):
        return place._replace(path=(*place.path, path[-1]))
    return Place("bot", made.layers[-1].source, path)
