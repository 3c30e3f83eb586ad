"""The providers a bot may name in `[llm]`, and what each takes in `[llm.options]`: one table, checked before anything runs.

`workers/llm` has a class for each and reads its options by the same table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from difflib import get_close_matches
from math import inf, isfinite
from typing import Any, Final, NamedTuple

from config.positions import KeyPath


class Refusal(NamedTuple):
    """An option that cannot be: its path within the options, what is wrong with its value (else its name), what to do."""

    path: KeyPath
    message: str
    hint: str
    value: bool = True


@dataclass(frozen=True, slots=True)
class Number:
    """An option that is a number from 0 to `most`, or any whole number."""

    most: float = inf
    whole: bool = False

    @property
    def allowed(self) -> str:
        """What it takes, in words."""
        if self.whole:
            return "a whole number"
        return "a number from 0" + (f" to {self.most:g}" if isfinite(self.most) else "")

    def takes(self, value: object) -> bool:
        """Tell whether it takes a value; true and false are no numbers."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return isinstance(value, int) if self.whole else isfinite(value) and 0 <= value <= self.most


@dataclass(frozen=True, slots=True)
class Word:
    """An option that is a word: no blanks, not empty."""

    @property
    def allowed(self) -> str:
        """What it takes, in words."""
        return "a word without blanks"

    def takes(self, value: object) -> bool:
        """Tell whether it takes a value."""
        return isinstance(value, str) and value.isprintable() and len(value.split()) == 1 and value == value.strip()


Options = Mapping[str, Number | Word]

OPTIONS: Final[dict[str, Options | None]] = {
    "openai": None,
    "anthropic": None,
    "echo": {
        "call": Word(),
        "delay_s": Number(),
        "fail_rate": Number(1.0),
        "piece_delay_s": Number(),
        "seed": Number(whole=True),
    },
}
"""Name of each provider of `config.vocabulary` → the options it takes; None = whatever its server takes, which must be fit for JSON."""

ROOTS: Final = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
"""Where each provider is when base_url is empty."""


def refusals(provider: str, options: Mapping[str, Any]) -> Iterator[Refusal]:
    """Yield what is wrong with a provider's options."""
    known = OPTIONS.get(provider)
    for name, value in options.items():
        if known is None:
            yield from _unfit((name,), value)
        elif name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"its options: {', '.join(sorted(known))}"
            yield Refusal((name,), f"{provider} has no such option", hint, value=False)
        elif not known[name].takes(value):
            yield Refusal((name,), f"{provider} takes here: {known[name].allowed}", "")


def _unfit(path: KeyPath, value: Any) -> Iterator[Refusal]:
    """Yield what in a value has no form in JSON."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _unfit((*path, name), inner)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unfit((*path, index), inner)
    elif isinstance(value, date | datetime | time):
        yield Refusal(path, "a date or time cannot be sent to a model's server", "put it in quotes")
    elif isinstance(value, float) and not isfinite(value):
        yield Refusal(path, "inf and nan cannot be sent to a model's server", "use a number")
