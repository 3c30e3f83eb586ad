"""Conversations with a bot that its operator leads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, Field

from config.errors import FleetError
from console.control import Saying
from console.errors import described
from console.web.auth import READ, Operator
from console.web.routes.access import TheClock, TheControl
from console.web.stream import ndjson

router = APIRouter(prefix="/bots/{bot_id}", tags=["conversations"])


class ToSay(BaseModel):
    """What an operator says to a bot, in which session of theirs."""

    text: str
    session: str
    actor: str = "api"


class Keyed(ToSay):
    """The same, with what it is known by should the link break: asked again under one key it is asked once."""

    key: Annotated[str, Field(max_length=64)] = ""


@router.post("/say")
async def say(bot_id: str, wanted: ToSay, control: TheControl, who: Operator) -> dict[str, Any]:
    """Ask the bot as its operator."""
    return {**await control.say(bot_id, wanted.text, session=wanted.session, actor=who.actor(wanted.actor))}


@router.post("/saying")
async def saying(bot_id: str, wanted: Keyed, control: TheControl, clock: TheClock, who: Operator) -> StreamingResponse:
    """Ask the bot as its operator, and follow its answer while it is made, as JSON lines."""
    frames = control.saying(bot_id, wanted.text, session=wanted.session, actor=who.actor(wanted.actor), key=wanted.key)
    return ndjson(_told(frames), clock)


@router.get("/answering", dependencies=[READ])
async def answering(bot_id: str, control: TheControl) -> JSONResponse:
    """Return the conversations whose answers are being made."""
    return JSONResponse(await control.answering(bot_id))


async def _told(frames: AsyncIterator[Saying]) -> AsyncIterator[Any]:
    """Yield frames; an error that comes after the first of them is a line of its own."""
    try:
        async for frame in frames:
            yield frame
    except FleetError as error:
        yield described(error)
