"""Conversations of a bot: read, searched, and led by its operator."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

from console.answers import AnsweringRow, ConversationRow, MessageRow, Said, Saying
from console.base import Within
from console.chats import OPERATOR, answering, listed, read
from console.errors import BadRequest
from console.inquiry import Inquiry
from store.turns import TurnRecord
from store.usage import Tokens
from workers.chat.question import Question
from workers.errors import WrongPhase
from workers.turn import tokens_of

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from console.runtime import Fleet
    from workers.chat.engine import Answer

CONSOLE: Final = "console"
"""The channel such a conversation is stored under."""
LONGEST_SESSION: Final = 64
LONGEST_TEXT: Final = 65_536
AT_ONCE: Final = 64
"""Questions of operators under way: they need nobody to wait for them, so they are counted."""
KEPT: Final = 64
"""Questions, answered ones among them, that can be followed again by their key."""
LAST_S: Final = 20.0
"""What the end of the fleet leaves them, as it does the turns of its bots."""
CLEANUP_S: Final = 5.0


class Talks(Within):
    """The conversations of all bots."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet)
        self._asked: set[Inquiry] = set()
        """Those under way."""
        self._keyed: OrderedDict[tuple[str, str], Inquiry] = OrderedDict()

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

    async def answering(self, bot_id: str) -> list[AnsweringRow]:
        """As Control.answering."""
        turns = self._fleet.pool.underway(self._known(bot_id))
        own = (inquiry for inquiry in self._asked if inquiry.bot_id == bot_id)
        return answering([*turns, *own])

    async def say(self, bot_id: str, text: str, *, session: str, actor: str) -> Said:
        """As Control.say."""
        return await self._ask(bot_id, text, session, actor, streamed=False).result()

    def saying(self, bot_id: str, text: str, *, session: str, actor: str, key: str = "") -> AsyncIterator[Saying]:
        """As Control.saying; what cannot be asked is refused at once."""
        inquiry = self._keyed.get((bot_id, key)) or self._ask(bot_id, text, session, actor, streamed=True)
        if key:
            self._keyed[bot_id, key] = inquiry
            while len(self._keyed) > KEPT:
                self._keyed.popitem(last=False)
        return inquiry.follow()

    @property
    def lingering(self) -> bool:
        """Whether answers are still being made."""
        return bool(self._asked)

    async def finish_inquiries(self) -> None:
        """Wait for the answers operators wait for, then give them up; takes 25 s at most."""
        await self._until_done(list(self._asked), LAST_S)
        self.give_up_inquiries()
        await self._until_done(list(self._asked), CLEANUP_S)

    def give_up_inquiries(self) -> None:
        """Have them end now, without an answer."""
        for inquiry in self._asked:
            inquiry.cancel()

    async def _forget_inquiries(self, bot_id: str) -> None:
        """Give up those of a bot that is removed: nothing of it may be written down later."""
        asked = [inquiry for inquiry in self._asked if inquiry.bot_id == bot_id]
        for inquiry in asked:
            inquiry.cancel()
        await self._until_done(asked, CLEANUP_S)

    async def _until_done(self, asked: Sequence[Inquiry], limit_s: float) -> None:
        with self._fleet.clock.deadline(limit_s):
            for inquiry in asked:
                await inquiry.done.wait()

    # --- one question ------------------------------------------------------------------------------------------

    def _ask(self, bot_id: str, text: str, session: str, actor: str, *, streamed: bool) -> Inquiry:
        """Begin to answer a question. Raises what Control.say raises."""
        self._refuse_when_closing()
        fleet = self._fleet
        spec = fleet.spec(self._known(bot_id))
        if spec is None:
            raise WrongPhase(f"{bot_id} has no good configuration to answer by", "`botdeck check` says what is wrong")
        if not text.strip() or len(text) > LONGEST_TEXT or not 0 < len(session) <= LONGEST_SESSION:
            raise BadRequest(f"say something of at most {LONGEST_TEXT} characters, in a named session")
        if len(self._asked) >= AT_ONCE:
            raise BadRequest(f"{AT_ONCE} questions of operators are being answered", "wait for one of them")
        question = Question(text, spec.config.client_id, f"{OPERATOR}{session}", user_name=actor)
        inquiry = Inquiry(bot_id, question.client_id, question.conversation_id, fleet.clock)
        self._asked.add(inquiry)
        inquiry.begin(lambda: self._be_answered(inquiry, spec, question, streamed=streamed), self._asked.discard)
        return inquiry

    async def _be_answered(self, inquiry: Inquiry, spec: BotSpec, question: Question, *, streamed: bool) -> Said:
        """Ask the model and write down what it took."""
        fleet, bot_id = self._fleet, inquiry.bot_id
        partition, listener = fleet.store.partition(bot_id), inquiry if streamed else None
        # Whether the model is reachable is for the bot's own turns to say.
        answer = await fleet.engine.answer(
            spec, partition, question, lambda *_: None, listener=listener, hears=inquiry
        )  # fmt: skip
        tokens = await tokens_of(fleet.prices, answer) if not answer.error else None
        if tokens is not None:
            record = TurnRecord(
                update_id=None, client_id=question.client_id, conversation_id=question.conversation_id,
                user_id=question.user_name, channel=CONSOLE, outcome="answered", question=question.text,
                answer=answer.text, tokens=tokens,
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
