"""Bots as models: what OpenAI's clients ask for, answered in their words.

As there, a request is its own whole history: the messages given are what was said, and nothing is remembered. The header
X-Conversation-Id (or metadata.conversation_id) names a conversation of the bot instead: then the last message is said in it.
"""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from config.vocabulary import Role
from console.web.auth import ClientOperator, ClientReader, Principal
from console.web.errors import ValidationError
from console.web.routes.access import TheTenants, bot_for, clock_of
from console.web.routes.chat import JSON, described, told, understood
from console.web.stream import SSE, Beats, Flow, encoded
from workers.bot import Bot, BotContext
from workers.chat.engine import LONGEST_QUESTION
from workers.exchange import Reply
from workers.llm.base import Image, Message

router = APIRouter(tags=["OpenAI"])

CONVERSATION: Final = "x-conversation-id"
CLIENT: Final = "x-client-id"
DONE: Final = b"data: [DONE]\n\n"
MOST_MESSAGES: Final = 2_000
_ROLES: Final = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM, "developer": Role.SYSTEM}
_DATA: Final = "data:"
_UNKNOWN: Final = ("tools", "functions", "tool_choice", "function_call", "logprobs", "stop", "audio", "modalities")
"""What would change the meaning of an answer, and a bot cannot do: not left out in silence. The bot's file says which tools
it has, how warm and how long it answers: temperature, max_tokens and their like are not asked of it.
"""


class Part(BaseModel):
    """A part of a message: text, or a picture as a data: URL."""

    type: Literal["text", "image_url"]
    text: str = ""
    image_url: dict[str, Any] = Field(default_factory=dict)


class Spoken(BaseModel):
    """One message."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part] | None = None

    @property
    def text(self) -> str:
        """What is said in it."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class StreamOptions(BaseModel):
    """How an answer is streamed."""

    include_usage: bool = False


class CompletionRequest(BaseModel):
    """What OpenAI's clients send; model is a bot's id, user a person's. What is not named here is not asked of the bot."""

    model_config = ConfigDict(extra="allow")

    model: Annotated[str, Field(min_length=1, max_length=128)]
    messages: Annotated[list[Spoken], Field(min_length=1, max_length=MOST_MESSAGES)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: Annotated[str, Field(min_length=1)] | None = None
    metadata: dict[str, Any] | None = None
    n: int | None = None
    response_format: dict[str, Any] | None = None


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "A chat.completion; with `stream` chat.completion.chunk events",
        "content": {JSON: {}, SSE: {}},
    }
}


@router.post("/chat/completions", openapi_extra=described(CompletionRequest), responses=_ANSWERS)
async def completions(request: Request, principal: ClientOperator) -> Response:
    """Let a bot answer, as OpenAI's API has it."""
    clock = clock_of(request)
    wanted = understood(CompletionRequest, await request.body())
    _refuse_unknown(wanted)
    context, remembered = _context(request, wanted, principal)
    *before, last = wanted.messages
    if last.role != "user":
        raise _mistake("messages", "the last message is the user's: that is what is answered")
    text, images = last.text, _images(last)
    if len(text) > LONGEST_QUESTION or not (text.strip() or images):
        raise _mistake("messages", f"a message has 1 to {LONGEST_QUESTION} characters, not blanks alone")
    history = None if remembered else [_message(each) for each in before]
    bot = await bot_for(request, wanted.model, principal)
    saying = _Saying(bot, clock.now())
    if wanted.stream:
        usage = wanted.stream_options is not None and wanted.stream_options.include_usage
        pieces = bot.stream_reply(text, context, images=images, history=history)
        beats = Beats(
            saying.chunks(pieces, usage=usage), clock, bytes, b": heartbeat\n\n", lambda e: _data(told(request, e))
        )
        return await Flow(beats, SSE).begun()
    reply = await bot.reply(text, context, images=images, history=history)
    return Response(encoded(saying.whole(reply)), media_type=JSON)


@router.get("/models")
async def models(tenants: TheTenants, principal: ClientReader) -> JSONResponse:
    """Return the bots that answer whoever asks, as models."""
    found = [_model(each.bot_id, each.since) for each in await tenants.answering(principal.client_id)]
    return JSONResponse({"object": "list", "data": found})


@router.get("/models/{bot_id}")
async def model(bot_id: str, request: Request, tenants: TheTenants, principal: ClientReader) -> JSONResponse:
    """Return one bot as a model."""
    bot = await bot_for(request, bot_id, principal)
    return JSONResponse(_model(bot.bot_id, await tenants.since(bot_id)))


def _model(bot_id: str, since: float) -> dict[str, Any]:
    return {"id": bot_id, "object": "model", "created": int(since), "owned_by": "botdeck"}


class _Saying:
    """One answer in OpenAI's form."""

    def __init__(self, bot: Bot, now: float) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(now), "model": bot.bot_id}

    def whole(self, reply: Reply) -> dict[str, Any]:
        """Return it at once."""
        said = {"role": "assistant", "content": reply.text, "refusal": None}
        choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": _finish(reply)}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": _usage(reply)}

    async def chunks(self, pieces: AsyncGenerator[str | Reply], *, usage: bool) -> AsyncGenerator[bytes]:
        """Yield it piece by piece."""
        more = {"usage": None} if usage else {}
        begun = False
        async with aclosing(pieces):
            async for piece in pieces:
                if not begun:
                    begun = True
                    yield self._chunk({"role": "assistant", "content": ""}, None, more)
                if isinstance(piece, str):
                    yield self._chunk({"content": piece}, None, more)
                    continue
                yield self._chunk({}, _finish(piece), more)
                if usage:
                    yield _data({**self._head, **_CHUNK, "choices": [], "usage": _usage(piece)})
        yield DONE

    def _chunk(self, delta: dict[str, Any], finish: str | None, more: dict[str, Any]) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**self._head, **_CHUNK, "choices": [choice], **more})


_CHUNK: Final = {"object": "chat.completion.chunk"}


def _data(document: dict[str, Any]) -> bytes:
    return b"data: " + encoded(document) + b"\n\n"


def _finish(reply: Reply) -> str:
    return "length" if reply.finish_reason in {"length", "max_tokens"} else "stop"


def _usage(reply: Reply) -> dict[str, Any]:
    return {
        "prompt_tokens": reply.tokens_in,
        "completion_tokens": reply.tokens_out,
        "total_tokens": reply.tokens_in + reply.tokens_out,
        "prompt_tokens_details": {"cached_tokens": reply.tokens_cached},
    }


def _mistake(where: str, what: str) -> ValidationError:
    return ValidationError(what, {"mistakes": [{"where": f"body.{where}", "what": what}]})


def _refuse_unknown(wanted: CompletionRequest) -> None:
    """Raise ValidationError for what a bot cannot do."""
    given = wanted.model_extra or {}
    for name in _UNKNOWN:
        if given.get(name) not in (None, [], {}, False, "none", "auto", ["text"]):
            raise _mistake(name, f"{name} cannot be asked of a bot; its own tools are in its configuration")
    if wanted.n not in {None, 1}:
        raise _mistake("n", "a bot gives one answer")
    if wanted.response_format is not None and wanted.response_format.get("type") != "text":
        raise _mistake("response_format", "a bot answers in text")


def _context(request: Request, wanted: CompletionRequest, principal: Principal) -> tuple[BotContext, bool]:
    """Return whose question it is, and whether it is said in a conversation that is remembered. Raises ValidationError."""
    metadata = wanted.metadata or {}
    named = request.headers.get(CONVERSATION) or metadata.get("conversation_id") or ""
    client = request.headers.get(CLIENT) or metadata.get("client_id") or ""
    try:
        context = BotContext(
            named or f"once-{uuid.uuid4().hex}", principal.client(client), wanted.user, request_metadata=metadata
        )
    except ValueError as error:
        name = str(error).partition(" ")[0]
        raise _mistake("user" if name == "user_id" else f"metadata.{name}", str(error)) from None
    return context, bool(named)


def _message(spoken: Spoken) -> Message:
    return Message(_ROLES[spoken.role], spoken.text, _images(spoken))


def _images(spoken: Spoken) -> tuple[Image, ...]:
    """Return the pictures of a message. Raises ValidationError for one that does not come along."""
    if not isinstance(spoken.content, list):
        return ()
    return tuple(_image(part.image_url.get("url")) for part in spoken.content if part.type == "image_url")


def _image(url: object) -> Image:
    if not isinstance(url, str) or not url.startswith(_DATA):
        raise _mistake("messages", "a picture comes along as a data: URL; no other address is fetched")
    head, _, data = url.removeprefix(_DATA).partition(",")
    kind, _, encoding = head.partition(";")
    if not kind.startswith("image/") or encoding != "base64":
        raise _mistake("messages", "a picture is data:image/…;base64,…")
    try:
        return Image(kind, base64.b64decode(data, validate=True))
    except binascii.Error:
        raise _mistake("messages", "a picture's base64 is broken") from None
