"""Conversations of a bot: listed, read, and led by its operator."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from console.web.routes.access import Moment, Number, TheControl

router = APIRouter(prefix="/bots/{bot_id}", tags=["conversations"])

Limit = Annotated[int, Query(ge=1, le=1000)]


class Saying(BaseModel):
    """What an operator says to a bot, in which session of theirs."""

    text: str
    session: str
    actor: str = "api"


@router.get("/conversations")
async def conversations(
    bot_id: str, control: TheControl, search: str = "", before: Moment = 0.0, limit: Limit = 50
) -> JSONResponse:
    """Return conversations, last spoken in first."""
    return JSONResponse(await control.conversations(bot_id, search=search, before=before, limit=limit))


@router.get("/messages")
async def messages(
    bot_id: str,
    control: TheControl,
    client_id: str,
    conversation_id: str,
    before_seq: Number = 0,
    search: str = "",
    limit: Limit = 100,
) -> JSONResponse:
    """Return the last messages of a conversation, or those before a number."""
    found = await control.messages(
        bot_id, client_id, conversation_id, before_seq=before_seq or None, search=search, limit=limit
    )
    return JSONResponse(found)


@router.post("/say")
async def say(bot_id: str, wanted: Saying, control: TheControl) -> dict[str, Any]:
    """Ask the bot as its operator."""
    return {**await control.say(bot_id, wanted.text, session=wanted.session, actor=wanted.actor)}
