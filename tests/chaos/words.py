"""What is said in a campaign, and how one message is told from every other."""

from __future__ import annotations

from typing import Final

APOLOGY: Final = "sorry"
"""The `error_text` of every bot."""


def question(chat_id: int, number: int) -> str:
    """Return what a person says: no two questions are alike."""
    return f"c{chat_id} n{number}"


def told_apart(text: str, chat_id: int) -> str:
    """Return what a send is known by. Answers are all different; apologies are not, but those of one chat are few."""
    return f"{APOLOGY} to {chat_id}" if text == APOLOGY else text
