"""Models behind one protocol (`base.Provider`); one line here makes a new provider known."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Final

from workers.errors import ProviderRefused

if TYPE_CHECKING:
    from config.schema import LlmSection
    from workers.clock import Clock
    from workers.http import Http
    from workers.llm.base import Provider

PROVIDERS: Final = {
    "anthropic": "workers.llm.anthropic:AnthropicProvider",
    "echo": "workers.llm.echo:EchoProvider",
    "openai": "workers.llm.openai:OpenAIProvider",
}
"""Value of `[llm] provider` → module:class, made as Class(config, http, clock)."""

KEPT: Final = 4096
"""Providers kept; keys that were exchanged long ago go first. One is made again in microseconds."""

_loaded: Final[set[str]] = set()
"""Names of providers whose modules this process has imported."""


async def load(provider: str) -> None:
    """Import a provider's module in a thread, unless that was done: on the loop every bot would wait for it.

    A name that is not known is left to `Providers.get`. Cancelling is safe.
    """
    if provider in _loaded or provider not in PROVIDERS:
        return
    await asyncio.to_thread(import_module, PROVIDERS[provider].partition(":")[0])
    _loaded.add(provider)


class Providers:
    """Makes providers and shares each between all bots with the same endpoint and key. Keys are never mixed."""

    def __init__(self, http: Http, clock: Clock) -> None:
        self._http = http
        self._clock = clock
        self._made: dict[tuple[str, str, str], Provider] = {}

    def get(self, config: LlmSection) -> Provider:
        """Return the provider for a bot's `[llm]`. Raises ProviderRefused for an unknown name, naming the known."""
        key = (config.provider, config.base_url, config.api_key.reveal() if config.api_key else "")
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = self._make(config)
            if len(self._made) > KEPT:
                del self._made[next(iter(self._made))]
        return found

    def _make(self, config: LlmSection) -> Provider:
        place = PROVIDERS.get(config.provider)
        if place is None:
            raise ProviderRefused(f"there is no provider {config.provider!r}", f"providers: {', '.join(PROVIDERS)}")
        module, _, name = place.partition(":")
        provider: Provider = getattr(import_module(module), name)(config, self._http, self._clock)
        return provider
