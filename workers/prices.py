"""What tokens cost, by the public price lists the library genai-prices brings; nothing is fetched.

The library is read once, in a thread, when somebody first wants to see a price: until then, and for models it does not know, the
price is not known.
"""

from __future__ import annotations

import threading
from typing import Any, Final

FREE: Final = frozenset({"echo"})
"""Providers that never cost anything."""
MILLION: Final = 1_000_000
SAMPLE: Final = 1_000
"""Tokens a price is asked for: as few as a turn has, for long prompts may cost more a token."""
_USAGES: Final = (
    {"input_tokens": SAMPLE},
    {"output_tokens": SAMPLE},
    {"input_tokens": SAMPLE, "cache_read_tokens": SAMPLE},
)

Price = tuple[float, float, float]
"""US dollars for a million tokens: input, output, cached input."""


class Prices:
    """The prices of models, each looked up once."""

    __slots__ = ("_known", "_library", "_reading")

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Price | None] = {}
        self._library: Any = None
        self._reading: threading.Thread | None = None

    def cost(self, model: tuple[str, str], sent: int, received: int, cached: int) -> float | None:
        """Return US dollars for tokens of (provider, model); cached ones are among those sent. None when not known.

        Never waits.
        """
        if model[0] in FREE or not sent + received:
            return 0.0
        price = self._price(model)
        if price is None:
            return None
        return ((sent - cached) * price[0] + received * price[1] + cached * price[2]) / MILLION

    def _price(self, model: tuple[str, str]) -> Price | None:
        if model not in self._known:
            if self._library is None:
                self._begin_reading()
                return None
            self._known[model] = self._look_up(model[1])
        return self._known[model]

    def _begin_reading(self) -> None:
        if self._reading is None:
            self._reading = threading.Thread(target=self._read, name="botdeck-prices", daemon=True)
            self._reading.start()

    def _read(self) -> None:
        import genai_prices

        self._library = genai_prices

    def _look_up(self, model: str) -> Price | None:
        """Return a model's price by its name alone: the provider is a protocol here, its address may be anybody's."""
        try:
            sent, received, cached = (
                float(self._library.calc_price(self._library.Usage(**usage), model).total_price) * MILLION / SAMPLE
                for usage in _USAGES
            )
        except (LookupError, ValueError):
            return None
        return sent, received, cached
