"""What the reception makes of something a person did."""

from __future__ import annotations

from dataclasses import dataclass

from workers.channels.base import Incoming

Buttons = tuple[tuple[str, str], ...]
"""Buttons under a message: (text, data) each; data is at most 64 bytes."""


@dataclass(frozen=True, slots=True)
class Ask:
    """The model is to answer. incoming.text is the question as the model is to read it; with files it is what was written
    beside them, to be attributed (`groups.attributed`) once they are understood.

    model is the one the person chose, "" = the configured one. reply_to is the message the answer replies to, 0 = none.
    """

    incoming: Incoming
    model: str = ""
    reply_to: int = 0


@dataclass(frozen=True, slots=True)
class Say:
    """The answer is known without the model. format is that of `[reply] format`; outcome is what the inbox notes."""

    text: str
    buttons: Buttons = ()
    outcome: str = "answered"
    format: str = "markdown"
    reply_to: int = 0


@dataclass(frozen=True, slots=True)
class Drop:
    """Nothing is said. outcome is ignored, limited, denied, or expired: then an apology may be due."""

    outcome: str
    reason: str = ""


Became = Ask | Say | Drop
