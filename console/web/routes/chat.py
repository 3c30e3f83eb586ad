"""One turn with a bot: an answer as a whole, or piece by piece while it is made."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from config.errors import FleetError
from console.web.auth import ClientOperator, Principal
from console.web.errors import answer_of
from console.web.routes.access import bot_for, clock_of
from console.web.stream import SSE, Sent, encoded, sse
from workers.bot import LONGEST_ID, BotContext
from workers.chat.engine import LONGEST_QUESTION
from workers.deltas import Note, Restarted, ToolStep
from workers.exchange import Reply
from workers.prices import NANO

router = APIRouter(prefix="/bots/{bot_id}", tags=["chat"])

JSON: Final = "application/json"

Model = TypeVar("Model", bound=BaseModel)
Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]


class ChatRequest(BaseModel):
    """What is said to a bot, in which conversation.

    Without a conversation_id a new conversation begins; the answer names it. client_id is the tenant: a key bound to a
    client has its own. Functions of yours that are tools of the bot get both mappings.
    """

    model_config = ConfigDict(extra="forbid")

    message: Annotated[str, Field(pattern=r"\S", max_length=LONGEST_QUESTION)]
    conversation_id: Id | None = None
    client_id: Annotated[str, Field(max_length=LONGEST_ID)] = ""
    user_id: Id | None = None
    session_metadata: dict[str, Any] = Field(default_factory=dict)
    request_metadata: dict[str, Any] = Field(default_factory=dict)
    stream: bool = False


class ChatUsage(BaseModel):
    """What an answer took. cost is in US dollars, null where the price is not known; cached tokens are among those in."""

    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost: float | None


class ChatResponse(BaseModel):
    """An answer, stored in its conversation."""

    response: str
    bot_id: str
    conversation_id: str
    client_id: str
    provider: str
    model: str
    usage: ChatUsage
    latency_s: float
    suggestions: list[str]


def answered(talk: dict[str, str], reply: Reply) -> dict[str, Any]:
    """Return a ChatResponse as plain rows; talk are its ids."""
    cost = None if reply.cost_nano is None else reply.cost_nano / NANO
    return {
        "response": reply.text,
        **talk,
        "provider": reply.provider,
        "model": reply.model,
        "usage": {
            "tokens_in": reply.tokens_in,
            "tokens_out": reply.tokens_out,
            "tokens_cached": reply.tokens_cached,
            "cost": cost,
        },
        "latency_s": round(reply.latency_s, 6),
        "suggestions": list(reply.suggestions),
    }


def described(model: type[BaseModel]) -> dict[str, Any]:
    """Return what OpenAPI is told of a body that is read by hand; whole, as references to its own parts lead nowhere there."""
    schema = model.model_json_schema()
    parts = schema.pop("$defs", {})

    def whole(value: Any) -> Any:
        if isinstance(value, list):
            return [whole(each) for each in value]
        if not isinstance(value, dict):
            return value
        part = parts[str(value["$ref"]).rpartition("/")[2]] if "$ref" in value else value
        return {name: whole(each) for name, each in part.items()}

    return {"requestBody": {"required": True, "content": {JSON: {"schema": whole(schema)}}}}


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": ChatResponse,
        "description": "The answer; with `stream` or `Accept: text/event-stream` the events delta, tool, restart, done and error",
        "content": {SSE: {}},
    }
}


@router.post("/chat", openapi_extra=described(ChatRequest), responses=_ANSWERS)
async def chat(bot_id: str, request: Request, principal: ClientOperator) -> Response:
    """Say something to a bot; the answer is stored before it is given.

    Streamed, it comes as server-sent events: `delta` {"text"}, in the end `done`, which is the whole ChatResponse, or
    `error`. `tool` {"call", "name", "state", "duration_s"} tells of tools called for it, begun and then done or failed. At
    `restart` forget the deltas so far: they are no part of the answer. Who leaves a stream gives it up: nothing is stored.
    """
    # The body is read here, not through a signature: of all routes this one has to cost least.
    wanted = understood(ChatRequest, await request.body())
    context = context_of(wanted, principal)
    bot = await bot_for(request, bot_id, principal)
    talk = {
        "bot_id": bot_id,
        "conversation_id": context.conversation_id,
        "client_id": context.client_id or bot.spec().config.client_id,
    }
    if wanted.stream or SSE in request.headers.get("accept", ""):
        events = _events(talk, bot.follow_reply(wanted.message, context))
        return await sse(events, clock_of(request), lambda error: Sent("error", told(request, error))).begun()
    reply = await bot.reply(wanted.message, context)
    return Response(encoded(answered(talk, reply)), media_type=JSON)


def understood(model: type[Model], body: bytes) -> Model:
    """Return a body as a model. Raises RequestValidationError, as FastAPI does."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from None


def context_of(wanted: ChatRequest, principal: Principal) -> BotContext:
    """Return whose question it is. Raises NotAllowed, RequestValidationError."""
    try:
        return BotContext(
            wanted.conversation_id or uuid.uuid4().hex,
            principal.client(wanted.client_id),
            wanted.user_id,
            wanted.session_metadata,
            wanted.request_metadata,
        )
    except ValueError as error:
        name = str(error).partition(" ")[0]
        raise RequestValidationError([{"loc": ("body", name), "msg": str(error), "type": "value_error"}]) from None


async def _events(talk: dict[str, str], course: AsyncGenerator[str | Note | Reply]) -> AsyncGenerator[Sent]:
    async with aclosing(course):
        async for said in course:
            yield _event(talk, said)


def _event(talk: dict[str, str], said: str | Note | Reply) -> Sent:
    match said:
        case str():
            return Sent("delta", {"text": said})
        case Reply():
            return Sent("done", answered(talk, said))
        case Restarted():
            return Sent("restart", {})
        case ToolStep(number, name, state, took_s):
            return Sent("tool", {"call": number, "name": name, "state": state, "duration_s": round(took_s, 6)})


def told(request: Request, error: FleetError) -> Any:
    """Return an error as its answer says it, for one that comes when an answer has begun."""
    return json.loads(bytes(answer_of(request, error).body))
