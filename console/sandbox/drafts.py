"""Drafts: an answer seen in a private chat while it is made, which vanishes unless a message follows."""

from __future__ import annotations

from typing import Final

from console.sandbox.answers import TRUE, Reply, bad_request
from console.sandbox.bots import SandboxBot
from console.sandbox.entities import MAX_TEXT
from console.sandbox.parameters import Params, integer
from console.sandbox.rules import Rules
from console.sandbox.sending import chat_for, read_text

KEPT: Final = 1000
"""Frames remembered of each bot."""


def send_draft(bot: SandboxBot, params: Params, rules: Rules) -> Reply:
    """Do sendMessageDraft."""
    chat = chat_for(bot, params, rules)
    if chat.id < 0:
        raise bad_request("drafts can be sent to private chats only")
    draft_id = integer(params, "draft_id")
    if not draft_id:
        raise bad_request("draft_id must be non-zero")
    text, _ = read_text(params, "text", "entities", MAX_TEXT)
    bot.drafts.append((chat.id, draft_id, text))
    del bot.drafts[:-KEPT]
    return TRUE
