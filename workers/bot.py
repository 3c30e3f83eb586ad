"""A bot as a program speaks with it: questions in, answers out, without a channel.

Each answer is stored with its question, in one transaction, before `chat` returns it. A conversation belongs to
(bot_id, client_id, conversation_id): whoever names another client meets another conversation, whatever its id. Questions of
one conversation are answered one after the other, in the order they came; `[limits]` say how many of all.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from store.messages import StoredMessage
from store.texts import storable
from workers.chat.question import Question
from workers.deltas import Course, Deltas, Note, Restarted
from workers.errors import BotClosed
from workers.exchange import Exchange, Reply
from workers.finishing import finished
from workers.tools.toolbox import has_tools

if TYPE_CHECKING:
    from config.schema import LlmSection
    from config.snapshot import BotSpec
    from workers.chat.engine import Answer
    from workers.llm.asking import Listener
    from workers.llm.base import Image, Message
    from workers.services import Services

LONGEST_ID: Final = 128
"""Characters of a client's, a conversation's, a person's id."""
_NEWEST: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BotContext:
    """Whose question it is. Raises ValueError, naming the field, for an id that is none.

    Ids have 1 to 128 printable characters; client_id may be "", which is the bot's own client (`client_id` of its
    configuration), user_id None for somebody unknown. Functions of the fleet's own that are tools get both mappings with
    their `Caller`; session_metadata["user_name"] is what `{user}` in a prompt stands for.
    """

    conversation_id: str
    client_id: str = ""
    user_id: str | None = None
    session_metadata: Mapping[str, Any] = field(default_factory=dict)
    request_metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check("conversation_id", self.conversation_id)
        if self.client_id != "":
            _check("client_id", self.client_id)
        if self.user_id is not None:
            _check("user_id", self.user_id)


def _check(name: str, value: object) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ID or not value.isprintable():
        raise ValueError(f"{name} has 1 to {LONGEST_ID} printable characters, not {str(value)[:LONGEST_ID]!r}")


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation and some of its messages, oldest first. Moments are Unix milliseconds."""

    client_id: str
    conversation_id: str
    user_id: str
    channel: str
    turns: int
    created_ms: int
    updated_ms: int
    messages: tuple[StoredMessage, ...]


class Bot:
    """One bot. spec gives its configuration; a turn uses the one it began with. Belongs to one event loop.

    in_use counts the calls under way, those that wait for their turn among them.
    """

    __slots__ = ("__weakref__", "_closed", "_desk", "_left", "_partition", "_services", "bot_id", "in_use", "spec")

    def __init__(self, bot_id: str, spec: Callable[[], BotSpec], services: Services) -> None:
        self.bot_id = bot_id
        self.spec = spec
        self.in_use = 0
        self._services = services
        self._partition = services.store.partition(bot_id)
        self._desk = services.desks.of(bot_id)
        self._closed = False
        self._left: asyncio.Event | None = None

    # --- asking ------------------------------------------------------------------------------------------------

    async def chat(self, message: str, context: BotContext, *, model: str = "", images: tuple[Image, ...] = ()) -> str:
        """Answer a message; return the answer once it is stored. Otherwise as `reply`."""
        return (await self.reply(message, context, model=model, images=images)).text

    async def reply(
        self,
        message: str,
        context: BotContext,
        *,
        listener: Listener | None = None,
        model: str = "",
        images: tuple[Image, ...] = (),
        history: Sequence[Message] | None = None,
    ) -> Reply:
        """Answer a message; return the answer and what it took, once it is stored with its question.

        With a listener the answer is told to it while it is made. model is asked in place of the configured one, and must be
        that or one of `[llm] choices`. With a history, which may be empty, that is what was said before: nothing is
        remembered, neither read nor stored, but what the answer took. Raises ValueError for a message or model that is none,
        RateLimitError for one too many, BotClosed, TurnFailedError when the model gives no answer, StoreError when the
        database cannot be read or written: in all these cases no message is stored (after an I/O error it may turn out to be). Cancelling is safe: the turn is then
        stored whole or not at all.
        """
        async with self._exchange(message, context, model, images, history) as exchange:
            return await exchange.keep(await exchange.answer(listener))

    async def stream_chat(
        self, message: str, context: BotContext, *, model: str = "", images: tuple[Image, ...] = ()
    ) -> AsyncGenerator[str, None]:
        """Answer a message piece by piece. The pieces add up to the answer, which is stored when they have ended.

        Left early (`aclose`, `break`, cancelled), the model is given up and nothing is stored. A bot with tools says its
        answer when it is whole. Raises what `reply` raises, also between two pieces; TurnFailedError also when a model failed
        in mid-answer and what came instead goes on otherwise.
        """
        async with aclosing(self.stream_reply(message, context, model=model, images=images)) as pieces:
            async for piece in pieces:
                if isinstance(piece, str):
                    yield piece

    def stream_reply(
        self,
        message: str,
        context: BotContext,
        *,
        model: str = "",
        images: tuple[Image, ...] = (),
        history: Sequence[Message] | None = None,
    ) -> AsyncGenerator[str | Reply, None]:
        """As `stream_chat`, and yield in the end what `reply` returns; history as there."""
        told = self._stream(message, context, model, images, history, follow=False)
        return cast("AsyncGenerator[str | Reply, None]", told)  # only who follows is told more

    def follow_reply(
        self, message: str, context: BotContext, *, model: str = "", images: tuple[Image, ...] = ()
    ) -> AsyncGenerator[str | Note | Reply, None]:
        """As `stream_reply`, for who can take back: also what a bot with tools says in each round, and the tools it calls.

        The pieces after the last Restarted add up to the answer. A model that failed in mid-answer is no error here.
        """
        return self._stream(message, context, model, images, None, follow=True)

    async def _stream(
        self,
        message: str,
        context: BotContext,
        model: str,
        images: tuple[Image, ...],
        history: Sequence[Message] | None,
        *,
        follow: bool,
    ) -> AsyncGenerator[str | Note | Reply, None]:
        async with self._exchange(message, context, model, images, history) as exchange:
            course = Course(self._services.clock) if follow else None
            deltas = course or Deltas(hold=has_tools(exchange.spec.config))
            asking = asyncio.create_task(exchange.answer(deltas, course), name=f"{self.bot_id}/answer")
            asking.add_done_callback(deltas.end)
            try:
                async for text in deltas:
                    yield text
            finally:
                await _over(asking)
            answer = asking.result()
            whole = storable(answer.text)
            rest = deltas.rest(whole)
            if rest is None:
                if not follow:
                    await exchange.drop(answer, "the model failed in mid-answer and went on otherwise")
                yield Restarted()
                rest = whole
            if rest:
                yield rest
            reply = await exchange.keep(answer)
        yield reply

    @asynccontextmanager
    async def _exchange(
        self,
        message: str,
        context: BotContext,
        model: str,
        images: tuple[Image, ...],
        history: Sequence[Message] | None,
    ) -> AsyncIterator[Exchange]:
        """Wait for the question's turn, and have it for the length of the block. Raises as `reply`. Safe to cancel."""
        with self._used():
            spec = self.spec()
            question = _question(message, context, spec.config.client_id, images)
            question.history = None if history is None else tuple(history)
            _check_model(model, spec.config.llm)
            async with self._desk.seat(question, spec.config.limits, self._services.clock.monotonic()):
                yield Exchange(self._services, self._partition, self._desk, self.spec(), question, model, images)

    # --- conversations -----------------------------------------------------------------------------------------

    async def undo_last_turn(self, context: BotContext) -> bool:
        """Delete the last question of a conversation and its answer; False when there is none. Raises as `reply`."""
        talk = self._talk(context)
        with self._used():
            async with self._desk.alone(talk):
                return await finished(self._partition.conversations.undo(*talk, self._services.now_ms())) is not None

    async def clear_conversation(self, context: BotContext) -> bool:
        """Begin a conversation anew: nothing said so far is remembered; False when there was nothing. Raises as `reply`.

        What was said is kept for the bot's operator, for as long as any message.
        """
        talk = self._talk(context)
        with self._used():
            async with self._desk.alone(talk):
                return await finished(self._partition.conversations.reset(*talk, self._services.now_ms())) > 0

    async def get_conversation(
        self, context: BotContext, *, limit: int = 100, before_seq: int = 0
    ) -> Conversation | None:
        """Return a conversation with the last messages before a number (0: of all) since it was begun anew.

        None when nothing was ever said in it. Raises StoreError: one that cannot be read is never an empty one.
        """
        talk = self._talk(context)
        with self._used():
            row = await self._partition.conversations.get(*talk)
            if row is None:
                return None
            upto = before_seq - 1 if before_seq > 0 else _NEWEST
            messages = await self._partition.messages.between(*talk, 0, upto, max(limit, 0))
        return Conversation(
            row.client_id, row.conversation_id, row.user_id, row.channel, row.turns, row.created_ms, row.updated_ms,
            tuple(messages),
        )  # fmt: skip

    def _talk(self, context: BotContext) -> tuple[str, str]:
        return context.client_id or self.spec().config.client_id, context.conversation_id

    # --- the end -----------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it takes no more questions."""
        return self._closed

    def shut(self) -> None:
        """Take no more questions; those taken are answered."""
        self._closed = True

    async def close(self) -> None:
        """Take no more questions, and wait until those taken are answered. Safe to call twice, and to cancel: closed it stays."""
        self.shut()
        while self.in_use:
            if self._left is None:
                self._left = asyncio.Event()
            await self._left.wait()

    @contextmanager
    def _used(self) -> Iterator[None]:
        if self._closed:
            raise BotClosed(f"the bot {self.bot_id} was closed", "get it anew from its manager or registry")
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1
            if not self.in_use and self._left is not None:
                self._left.set()


def _question(message: str, context: BotContext, own_client: str, images: tuple[Image, ...]) -> Question:
    if not isinstance(message, str) or not (message.strip() or images):
        raise ValueError("message is a text that says something")
    user_name = context.session_metadata.get("user_name", "")
    return Question(
        message, context.client_id or own_client, context.conversation_id, context.user_id or "", str(user_name),
        session_metadata=context.session_metadata, request_metadata=context.request_metadata,
    )  # fmt: skip


def _check_model(model: str, llm: LlmSection) -> None:
    if model and model != llm.model and model not in llm.choices:
        known = ", ".join(dict.fromkeys((llm.model or llm.provider, *llm.choices)))
        raise ValueError(f"model is one of {known}, not {model[:LONGEST_ID]!r}")


async def _over(asking: asyncio.Task[Answer]) -> None:
    """Have an ask given up, if it has not ended, and wait for its end."""
    asking.cancel()
    asking.add_done_callback(_heard)
    await asyncio.wait((asking,))


def _heard(asking: asyncio.Task[Answer]) -> None:
    """Who has left hears of no failure."""
    if not asking.cancelled():
        asking.exception()
