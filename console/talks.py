"""Conversations of a bot: read, searched, and led by its operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from console.answers import ConversationRow, MessageRow, Said
from console.base import Within
from console.chats import OPERATOR, listed, read
from console.errors import BadRequest
from store.turns import TurnRecord
from store.usage import Tokens
from workers.channels.base import Incoming, Lane
from workers.errors import WrongPhase
from workers.turn import tokens_of

if TYPE_CHECKING:
    from workers.chat.engine import Answer

CONSOLE: Final = "console"
"""The channel such a conversation is stored under."""
LONGEST_SESSION: Final = 64
LONGEST_TEXT: Final = 65_536


class OperatorLane(Lane):
    """A lane of no chat, named by the operator's session."""

    session: str

    @property
    def conversation_id(self) -> str:
        """The conversation of the session."""
        return f"{OPERATOR}{self.session}"


class Talks(Within):
    """The conversations of all bots."""

    async def conversations(
        self, bot_id: str, *, search: str = "", before: float = 0.0, limit: int = 50
    ) -> list[ConversationRow]:
        """As Control.conversations."""
        partition = self._fleet.store.partition(self._known(bot_id))
        return await listed(partition.conversations, partition.messages, search=search, before=before, limit=limit)

    async def messages(
        self,
        bot_id: str,
        client_id: str,
        conversation_id: str,
        *,
        before_seq: int | None = None,
        search: str = "",
        limit: int = 100,
    ) -> list[MessageRow]:
        """As Control.messages."""
        partition = self._fleet.store.partition(self._known(bot_id))
        key = (client_id, conversation_id)
        return await read(partition.messages, partition.usage, key, before_seq=before_seq, search=search, limit=limit)

    async def say(self, bot_id: str, text: str, *, session: str, actor: str) -> Said:
        """As Control.say."""
        self._refuse_when_closing()
        fleet = self._fleet
        spec = fleet.spec(self._known(bot_id))
        if spec is None:
            raise WrongPhase(f"{bot_id} has no good configuration to answer by", "`botdeck check` says what is wrong")
        if not text.strip() or len(text) > LONGEST_TEXT or not 0 < len(session) <= LONGEST_SESSION:
            raise BadRequest(f"say something of at most {LONGEST_TEXT} characters, in a named session")
        lane = OperatorLane(0)
        lane.session = session
        incoming = Incoming(update_id=0, lane=lane, user_id=None, text=text, sent_at=fleet.clock.now(), user_name=actor)
        partition = fleet.store.partition(bot_id)
        # Whether the model is reachable is for the bot's own turns to say.
        answer = await fleet.engine.answer(spec, partition, incoming, lambda *_: None)
        tokens = await tokens_of(fleet.prices, answer) if not answer.error else None
        if tokens is not None:
            record = TurnRecord(
                update_id=None, client_id=spec.config.client_id, conversation_id=lane.conversation_id, user_id=actor,
                channel=CONSOLE, outcome="answered", question=text, answer=answer.text, tokens=tokens,
            )  # fmt: skip
            await partition.record_turn(record, int(fleet.clock.now() * 1000))
            fleet.metrics.spend(bot_id, tokens)
        return _said(answer, tokens or Tokens(answer.provider, ""))


def _said(answer: Answer, tokens: Tokens) -> Said:
    return {
        "text": answer.text,
        "error": answer.error,
        "provider": tokens.provider,
        "model": tokens.model,
        "tokens_in": tokens.input_tokens,
        "tokens_out": tokens.output_tokens,
        "latency_s": answer.latency_s,
    }
