"""Conversations of a bot: listed, read, taken back, begun anew. A key bound to a client reaches that client's only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response

from console.accounts import check, spent
from console.chats import MOST, listed, read, shown
from console.web.auth import ClientOperator, ClientReader, Principal
from console.web.errors import ConversationNotFoundError
from console.web.pages import cursor_of, page, place_of
from console.web.routes.access import Moment, Number, TheClock, TheTenants, bot_for
from workers.bot import Bot, BotContext

router = APIRouter(prefix="/bots/{bot_id}", tags=["conversations"])

Limit = Annotated[int, Query(ge=1, le=MOST)]
Cursor = Annotated[str, Query(max_length=1024)]
Client = Annotated[str, Query(max_length=128)]
Wanted = Annotated[str | None, Query(max_length=128)]
Days = Annotated[int, Query(ge=1, le=3660)]
CONVERSATION = "/conversations/{conversation_id:path}"


Deed = Callable[[Bot, BotContext], Awaitable[bool]]
"""Changes a conversation; returns whether there was something to change."""


async def _changing(
    bot_id: str,
    conversation_id: str,
    request: Request,
    tenants: TheTenants,
    principal: ClientOperator,
    client_id: Client = "",
) -> Callable[[str, Deed], Awaitable[bool]]:
    """Return what changes the conversation that is asked for, and writes down by which action and who it was."""
    bot = await bot_for(request, bot_id, principal)
    context = _context(conversation_id, principal.client(client_id))

    async def change(action: str, deed: Deed) -> bool:
        changed = await deed(bot, context)
        if changed:
            tenants.note(action, bot_id, principal.actor(), f"conversation {conversation_id}")
        return changed

    return change


Change = Annotated[Callable[[str, Deed], Awaitable[bool]], Depends(_changing)]


@router.get("/conversations")
async def conversations(
    bot_id: str,
    request: Request,
    tenants: TheTenants,
    principal: ClientReader,
    client_id: Wanted = None,
    search: str = "",
    before: Moment = 0.0,
    cursor: Cursor = "",
    limit: Limit = 50,
) -> Response:
    """Return conversations, last spoken in first; without a client_id those of all clients the key may see."""
    partition = await tenants.partition(bot_id, principal.client_id)
    rows = await listed(
        partition.conversations,
        partition.messages,
        search=search,
        before=before,
        limit=limit,
        client_id=_clients(principal, client_id),
        behind=place_of(cursor, int, str, str),
    )
    last = rows[-1] if len(rows) == limit else None
    behind = cursor_of(round(last["updated_at"] * 1000), last["client_id"], last["conversation_id"]) if last else ""
    return page(request, rows, behind)


@router.get("/messages")
async def messages(
    bot_id: str,
    tenants: TheTenants,
    principal: ClientReader,
    client_id: Client,
    conversation_id: str,
    before_seq: Number = 0,
    search: str = "",
    limit: Limit = 100,
) -> JSONResponse:
    """Return the last messages of a conversation, or those before a number, oldest first."""
    partition, key = (
        await tenants.partition(bot_id, principal.client_id),
        (principal.client(client_id), conversation_id),
    )
    found = await read(
        partition.messages, partition.usage, key, before_seq=before_seq or None, search=search, limit=limit
    )
    return JSONResponse(found)


@router.get(f"{CONVERSATION}/messages")
async def messages_of(
    bot_id: str,
    conversation_id: str,
    request: Request,
    tenants: TheTenants,
    principal: ClientReader,
    client_id: Client = "",
    search: str = "",
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Response:
    """Return the last messages of a conversation, oldest first; the next page has those before them."""
    partition = await tenants.partition(bot_id, principal.client_id)
    key = (await tenants.client(bot_id, principal.client(client_id)), conversation_id)
    if await partition.conversations.get(*key) is None:
        raise ConversationNotFoundError(conversation_id)
    (before,) = place_of(cursor, int) or (None,)
    found = await read(partition.messages, partition.usage, key, before_seq=before, search=search, limit=limit)
    return page(request, found, cursor_of(found[0]["seq"]) if len(found) == limit else "")


@router.get(CONVERSATION)
async def conversation(
    bot_id: str, conversation_id: str, tenants: TheTenants, principal: ClientReader, client_id: Client = ""
) -> JSONResponse:
    """Return one conversation."""
    partition = await tenants.partition(bot_id, principal.client_id)
    found = await partition.conversations.get(
        await tenants.client(bot_id, principal.client(client_id)), conversation_id
    )
    if found is None:
        raise ConversationNotFoundError(conversation_id)
    return JSONResponse(await shown(found, partition.messages))


@router.delete(CONVERSATION)
async def clear(change: Change) -> dict[str, bool]:
    """Begin a conversation anew: nothing said so far is remembered. It can still be read, for as long as any."""
    return {"cleared": await change("clear", Bot.clear_conversation)}


@router.post(f"{CONVERSATION}/undo")
async def undo(change: Change) -> dict[str, bool]:
    """Take back the last question and its answer."""
    return {"undone": await change("undo", Bot.undo_last_turn)}


@router.get("/usage")
async def usage(
    bot_id: str,
    tenants: TheTenants,
    clock: TheClock,
    principal: ClientReader,
    by: str = "day",
    days: Days = 30,
    client_id: Wanted = None,
) -> JSONResponse:
    """Return what a bot spent in the last days, summed by day, chat, user or model; without a client_id by all clients."""
    check(by, days)
    partition, zone = await tenants.partition(bot_id, principal.client_id), await tenants.zone(bot_id)
    client = _clients(principal, client_id)
    return JSONResponse(await spent(partition.usage, bot_id, by, days, zone, clock.now(), client))


def _clients(principal: Principal, wanted: str | None) -> str | None:
    """Return the client whose rows are meant; None for all."""
    return wanted if principal.client_id is None else principal.client(wanted or "")


def _context(conversation_id: str, client_id: str) -> BotContext:
    try:
        return BotContext(conversation_id, client_id)
    except ValueError as error:
        name = str(error).partition(" ")[0]
        raise RequestValidationError([{"loc": ("path", name), "msg": str(error), "type": "value_error"}]) from None
