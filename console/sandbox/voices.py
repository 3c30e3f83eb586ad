"""What the demo's model says: characters told apart by their system prompt, each the same every time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from console.sandbox.completions import Said
from console.sandbox.model import ModelCall

PROMPTS: Final = {
    "support": "You are the support desk of a small bicycle shop. Be calm, ask one thing at a time.",
    "shop": "You are the sales clerk of a small bicycle shop. Be quick, name a price.",
    "poet": "You are a poet. Whatever is said to you, answer in two lines that almost rhyme.",
    "courier": "You are a bicycle courier. Say where the parcel is, in one sentence.",
    "gardener": "You are a gardener. Answer with one thing to do in the garden this week.",
    "twin": "You are a twin. Agree with whoever writes to you, and add what your sister would say.",
    "club": "You are the secretary of a bicycle club. Answer in its group, with what a rider needs to know.",
    "keeper": "You keep the keys of the workshop. Say which key opens what.",
}

_ADVICE: Final = (
    "Let us look at that together. Since when has it been like this?",
    "That is usually a **loose cable**. Does it get better when you turn the small wheel on the lever?",
    "I have noted it. Could you bring it by tomorrow before noon?",
    "Good to hear. I leave your ticket open until Friday, just in case.",
)
_OFFERS: Final = (
    "We have that in stock. It is {price} euros, bell included.",
    "For you: {price} euros, and we fit it while you wait.",
    "Sold out in blue, but red rides just as well. {price} euros.",
    "Done. {price} euros, ready at the counter from four o'clock.",
)
_PRICES: Final = """\
## Lights

| Light | Lumen | Euros |
|:------|------:|------:|
| Glow | 20 | 12 |
| Beam | 60 | 29 |
| Comet | 110 | 54 |

*Fitting is free*; ||ask for the discount||."""
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
    "This week:\n\n1. Cut back the roses before the frost.\n   - a hand above the ground\n   - above an outer bud\n2. Rest.",
    "Rake the leaves, and leave a heap for the hedgehog.",
    "Plant garlic now: pointed end up, a span apart.",
)
_ROUTES: Final = (
    "**Sunday, 9 o'clock**, at the mill:\n\n- along the river, 18 km\n- over the hill, 31 km\n- the cake, 0 km",
    'Two hours at club pace. The file for your device:\n\n```gpx\n<wpt lat="52.4" lon="13.1"><name>Mill</name></wpt>\n```',
    "> The tube first, then the tyre.\n\nRoughen it, glue it, *wait five minutes*, press the patch on.",
)
_KEYS: Final = (
    "The brass one opens the shed, the long one the tool chest.",
    "The smallest key is for the coffee tin. Nobody else knows.",
)
_NEXT: Final = ("What lights do you have?", "Are you open now?")
_KNOWN: Final = re.compile(r"^- bike: (.+)$", re.MULTILINE)
_BIKE: Final = re.compile(r"my bike is (.+?)[.!]", re.IGNORECASE)
_SUM: Final = re.compile(r"(\d+) (?:lights|bells|seats) at (\d+)")


def answer(call: ModelCall) -> str | Said:
    """Return the character's answer to the conversation so far; calls of tools where it was offered some."""
    system = next((str(message.get("content")) for message in call.messages if message.get("role") == "system"), "")
    turn = sum(message.get("role") == "user" for message in call.messages) - 1
    name = next((name for name, prompt in PROMPTS.items() if system.startswith(prompt)), "")
    told = _of_tools(call, system)
    if told is not None:
        return told
    return _VOICES.get(name, _echo)(call.question, max(0, turn))


def _of_tools(call: ModelCall, system: str) -> str | Said | None:
    """Return what is said with tools, or with what a tool has said; None where there is nothing to call."""
    last = call.messages[-1]
    if last.get("role") == "tool":
        return _with_result(str(last.get("content")))
    question, offered = call.question, _offered(call)
    if "remember" in offered:
        return _of_memory(question, system)
    return _of_numbers(question, offered) if "calculator" in offered else None


def _of_memory(question: str, system: str) -> str | Said | None:
    if bike := _BIKE.search(question):
        return _calling("remember", fact="bike", value=bike[1])
    if "know of my bike" not in question:
        return None
    known = _KNOWN.search(system)
    return f"You ride **{known[1]}**." if known else "Nothing yet. Tell me: my bike is …"


def _of_numbers(question: str, offered: set[str]) -> Said | None:
    if wanted := _SUM.search(question):
        return _calling("calculator", expression=f"{wanted[1]} * {wanted[2]}")
    if "open now" in question and "time" in offered:
        return _calling("time")
    if question.startswith("Hello") and "suggest" in offered:
        return Said("Hello! What may it be?", (_call("suggest", replies=list(_NEXT)),))
    return None


def _with_result(result: str) -> str:
    if result == "remembered":
        return "I will remember that."
    if re.fullmatch(r"[\d.]+", result):
        return f"That makes `{result}` euros."
    return f"It is {result}. We open from 9 to 18."


def _offered(call: ModelCall) -> set[str]:
    tools: list[dict[str, Any]] = call.body.get("tools") or []
    return {str(tool["function"]["name"]) for tool in tools if "function" in tool}


def _calling(tool: str, **arguments: object) -> Said:
    return Said("", (_call(tool, **arguments),))


def _call(tool: str, **arguments: object) -> tuple[str, str]:
    return tool, json.dumps(arguments)


def _echo(question: str, _turn: int) -> str:
    return question


def _support(question: str, turn: int) -> str:
    if question.startswith("Open a ticket"):
        return f"### Ticket opened\n\n> {question.partition(': ')[2] or 'no words'}\n\nSomebody calls you **before Friday**."
    return _ADVICE[turn % len(_ADVICE)]


def _shop(question: str, turn: int) -> str:
    if "lights do you have" in question:
        return _PRICES
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


def _club(question: str, turn: int) -> str:
    if "patch" in question:
        return _ROUTES[2]
    return _ROUTES[turn % 2]


def _keeper(_question: str, turn: int) -> str:
    return _KEYS[turn % len(_KEYS)]


_VOICES: Final[dict[str, Callable[[str, int], str]]] = {
    "support": _support,
    "shop": _shop,
    "poet": _poet,
    "courier": _courier,
    "gardener": _gardener,
    "twin": _twin,
    "club": _club,
    "keeper": _keeper,
}
