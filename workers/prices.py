"""What tokens cost: by the first of the fleet's own `[[prices]]` that fits, else by the public lists the library genai-prices brings; nothing is fetched.

The library is read once, in a thread, when the first bot begins whose model may cost something: it takes 0.1 s and 30 MB. A
model neither names has no price, which is never taken for nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio

if TYPE_CHECKING:
    from config.schema import PriceSection

FREE: Final = frozenset({"echo"})
"""Providers that never cost anything, unless the fleet says so."""
NANO: Final = 1_000_000_000
"""Costs are counted in billionths of a US dollar: whole numbers add up exactly."""
_PER_TOKEN: Final = NANO // 1_000_000
SAMPLE: Final = 1_000
"""Tokens a price is asked for: as few as a turn has, for long prompts may cost more a token."""
MODELS: Final = 10_000
"""Prices remembered; a server may call its models as it likes."""
_WAIT_S: Final = 5.0
"""A turn waits no longer for the lists."""


class Price(NamedTuple):
    """Nano-dollars of a token: sent, received, sent and read from the provider's cache."""

    sent: float
    received: float
    cached: float


def _by_lists(library: Any, model: str) -> Price | None:
    """Return a model's price by its name alone: the provider is a protocol here, its address may be anybody's."""
    usages = (
        {"input_tokens": SAMPLE},
        {"output_tokens": SAMPLE},
        {"input_tokens": SAMPLE, "cache_read_tokens": SAMPLE},
    )
    try:
        asked = (library.calc_price(library.Usage(**usage), model).total_price for usage in usages)
        return Price(*(float(price) * NANO / SAMPLE for price in asked))
    except (LookupError, ValueError):
        return None


def _fits(section: PriceSection, provider: str, model: str) -> bool:
    if section.provider not in {"", provider}:
        return False
    return model.startswith(section.model[:-1]) if section.model.endswith("*") else model == section.model


class Prices:
    """The prices of models, each looked up once. Used on the event loop only."""

    __slots__ = ("_known", "_library", "_own", "_reading")

    def __init__(self, own: Sequence[PriceSection] = ()) -> None:
        self._own: tuple[PriceSection, ...] = tuple(own)
        self._known: dict[tuple[str, str], Price | None] = {}
        self._library: Any = None
        self._reading: asyncio.Future[Any] | None = None

    def own(self, sections: Sequence[PriceSection]) -> None:
        """Take the fleet's own prices over; what was counted before stays as it is."""
        if tuple(sections) != self._own:
            self._own = tuple(sections)
            self._known.clear()

    def warm(self, provider: str) -> None:
        """Have the lists read beside everything else, if a provider may cost something. Cheap; never waits."""
        if self._reading is None and provider not in FREE:
            self._reading = asyncio.get_running_loop().run_in_executor(None, _read)

    async def cost_nano(self, model: tuple[str, str], sent: int, received: int, cached: int) -> int | None:
        """Return nano-dollars for tokens of (provider, model); cached ones are among those sent.

        None when the price is not known, or no tokens were told of a model that has one. Waits, for 5 s at most,
        while the lists are being read: once in a process, and a cancellation waits with it.
        """
        if model not in self._known:
            await self._look_up(model)
        price = self._known.get(model)
        if price is None or (not sent + received and any(price)):
            return None
        return round(max(sent - cached, 0) * price.sent + received * price.received + cached * price.cached)

    async def _look_up(self, model: tuple[str, str]) -> None:
        own = self._by_fleet(*model)
        if own is None and model[0] in FREE:
            own = Price(0, 0, 0)
        if own is None and not await self._lists_read():
            return  # asked again at the next turn
        if len(self._known) >= MODELS:
            self._known.clear()
        self._known[model] = _by_lists(self._library, model[1]) if own is None else own

    def _by_fleet(self, provider: str, model: str) -> Price | None:
        for section in self._own:
            if _fits(section, provider, model):
                cached = section.input if section.cached is None else section.cached
                return Price(section.input * _PER_TOKEN, section.output * _PER_TOKEN, cached * _PER_TOKEN)
        return None

    async def _lists_read(self) -> bool:
        if self._library is None:
            self.warm("")
            assert self._reading is not None, "warming begins to read"
            with anyio.CancelScope(shield=True):  # an answer is paid for already: it must reach its record
                done, _ = await asyncio.wait([self._reading], timeout=_WAIT_S)
            if not done:
                return False
            self._library = self._reading.result()
        return True


def _read() -> Any:
    """Return the library, its lists read: the first look into them takes longest."""
    import genai_prices

    _by_lists(genai_prices, "gpt-4o-mini")
    return genai_prices
