"""What the demo's model says: characters told apart by their system prompt, each the same every time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from console.sandbox.model import ModelCall

PROMPTS: Final = {
    "support": "You are the support desk of a small bicycle shop. Be calm, ask one thing at a time.",
    "shop": "You are the sales clerk of a small bicycle shop. Be quick, name a price.",
    "poet": "You are a poet. Whatever is said to you, answer in two lines that almost rhyme.",
    "courier": "You are a bicycle courier. Say where the parcel is, in one sentence.",
    "gardener": "You are a gardener. Answer with one thing to do in the garden this week.",
    "twin": "You are a twin. Agree with whoever writes to you, and add what your sister would say.",
}

_ADVICE: Final = (
    "Let us look at that together. Since when has it been like this?",
    "That is usually a loose cable. Does it get better when you turn the small wheel on the lever?",
    "I have noted it. Could you bring it by tomorrow before noon?",
    "Good to hear. I leave your ticket open until Friday, just in case.",
)
_OFFERS: Final = (
    "We have that in stock. It is {price} euros, bell included.",
    "For you: {price} euros, and we fit it while you wait.",
    "Sold out in blue, but red rides just as well. {price} euros.",
    "Done. {price} euros, ready at the counter from four o'clock.",
)
_VERSES: Final = (
    "You speak of {word}, and softly the evening replies:\na lantern of small things, a harbour, a pair of kind eyes.",
    "O {word}, you wheel through the morning unbidden,\nhalf of you sunlight and half of you hidden.",
    "I asked the rain what {word} might mean;\nit wrote the answer down in green.",
    "Tell {word} I waited where the gravel bends;\nall roads are poems, and not one ends.",
)


_WHEREABOUTS: Final = (
    "Your parcel has just left the depot on the green bicycle.",
    "It is two streets away; I am waiting for the tram to pass.",
    "Delivered to your neighbour, the one with the loud dog.",
)
_CHORES: Final = (
    "Cut back the roses before the frost, a hand above the ground.",
    "Rake the leaves, and leave a heap for the hedgehog.",
    "Plant garlic now: pointed end up, a span apart.",
)


def answer(call: ModelCall) -> str:
    """Return the character's answer to the conversation so far."""
    system = next((str(message.get("content")) for message in call.messages if message.get("role") == "system"), "")
    turn = sum(message.get("role") == "user" for message in call.messages) - 1
    voice = next((_VOICES[name] for name, prompt in PROMPTS.items() if system == prompt), _echo)
    return voice(call.question, max(0, turn))


def _echo(question: str, _turn: int) -> str:
    return question


def _support(_question: str, turn: int) -> str:
    return _ADVICE[turn % len(_ADVICE)]


def _shop(question: str, turn: int) -> str:
    return _OFFERS[turn % len(_OFFERS)].format(price=19 + len(question) * 7 % 80)


def _poet(question: str, turn: int) -> str:
    word = max(question.strip(" ?!.,").split() or ["silence"], key=len).strip("?!.,").lower()
    return _VERSES[turn % len(_VERSES)].replace("{word}", word)


def _courier(_question: str, turn: int) -> str:
    return _WHEREABOUTS[turn % len(_WHEREABOUTS)]


def _gardener(_question: str, turn: int) -> str:
    return _CHORES[turn % len(_CHORES)]


def _twin(question: str, _turn: int) -> str:
    return f"{question} I think so too, and my sister would say it twice."


_VOICES: Final[dict[str, Callable[[str, int], str]]] = {
    "support": _support,
    "shop": _shop,
    "poet": _poet,
    "courier": _courier,
    "gardener": _gardener,
    "twin": _twin,
}
