"""Groups: which of what people say there is meant for the bot, and who said it to whom."""

from __future__ import annotations

import re
from typing import Final

from workers.channels.base import Identity, Incoming, Lane
from workers.channels.entities import without_mention

LONGEST_NAME: Final = 64
LONGEST_QUOTE: Final = 500
MAX_LANES: Final = 1024
"""Groups and topics whose messages are counted for `every:N`; beyond it the quietest one begins anew."""

_UNFIT: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff:<>\[\]{}]+")
"""What in a name could make it look like more than a name."""


class GroupRule:
    """`[groups] respond`, and the counts behind `every:N`."""

    __slots__ = ("_count", "_every", "respond")

    def __init__(self) -> None:
        self.respond = ""
        self._every = 0
        self._count: dict[Lane, int] = {}

    def apply(self, respond: str) -> None:
        """Take over the rule: mention, reply, all or every:N."""
        if respond != self.respond:
            self.respond = respond
            self._every = int(respond.removeprefix("every:")) if respond.startswith("every:") else 0
            self._count.clear()

    def addressed(self, incoming: Incoming, *, known: bool) -> bool:
        """Tell whether something said in a group asks for an answer; known: it begins with a command of the bot.

        Such a command always does; one for another bot never, nor one of nobody's that does not name the bot. Counts what
        may ask for `every:N`.
        """
        if incoming.elsewhere or (incoming.command and not known and not incoming.mentioned):
            return False
        turn = self._every > 0 and self._counted(incoming.lane)
        if known or turn or incoming.reply_to_bot:
            return True
        return self.respond == "all" or (incoming.mentioned and self.respond != "reply")

    def _counted(self, lane: Lane) -> bool:
        count = self._count.pop(lane, 0) + 1
        self._count[lane] = count % self._every
        if len(self._count) > MAX_LANES:
            del self._count[next(iter(self._count))]
        return count >= self._every


def unnamed(incoming: Incoming, me: Identity) -> Incoming:
    """Return a message without the bot's name around it, unless nothing else is in it."""
    text = without_mention(incoming.text, incoming.entities, me)
    return incoming.with_text(text) if text or incoming.reply_to_text or incoming.attachments else incoming


def attributed(incoming: Incoming) -> Incoming:
    """Return a message as the model is to read it: in groups with its speaker, what it answers to quoted before."""
    if incoming.chat_type == "private" and not incoming.reply_to_text:
        return incoming
    text = incoming.text
    if incoming.chat_type != "private" and (name := clean_name(incoming.user_name)):
        text = f"{name}: {text}"
    if incoming.reply_to_text:
        text = f"{quoted(incoming)}\n\n{text}"
    return incoming.with_text(text)


def clean_name(name: str) -> str:
    """Return a person's name as one short word or few, of one line, that cannot pass for two speakers."""
    return _UNFIT.sub(" ", name).strip()[:LONGEST_NAME].rstrip()


def quoted(incoming: Incoming) -> str:
    """Return what a message answers to, as a quotation of bounded length."""
    words = incoming.reply_to_text.strip()
    if len(words) > LONGEST_QUOTE:
        words = f"{words[: LONGEST_QUOTE - 1]}…"
    who = clean_name(incoming.reply_to_name)
    lines = f"{who}: {words}" if who else words
    return "\n".join(f"> {line}".rstrip() for line in lines.splitlines())
