"""Who may speak to a bot: codes, people let in and shut out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from console.web.auth import READ, Operator
from console.web.routes.access import TheControl

router = APIRouter(prefix="/bots/{bot_id}", tags=["people"])

People = Annotated[list[int], Field(default_factory=list, max_length=1000)]


class Pairing(BaseModel):
    """For how long a code is to be good, and who asks for it."""

    minutes: float = 10.0
    actor: str = "api"


class Decisions(BaseModel):
    """Numbers of people, and who decides about them."""

    allow: People
    block: People
    remove: People
    actor: str = "api"


@router.post("/pair")
async def pair(bot_id: str, wanted: Pairing, control: TheControl, principal: Operator) -> JSONResponse:
    """Make a code that lets one person in."""
    return JSONResponse(await control.pair(bot_id, minutes=wanted.minutes, actor=principal.actor(wanted.actor)))


@router.get("/access", dependencies=[READ])
async def access(bot_id: str, control: TheControl) -> JSONResponse:
    """Return who may speak to the bot."""
    return JSONResponse(await control.access(bot_id))


@router.post("/access")
async def decide(bot_id: str, wanted: Decisions, control: TheControl, principal: Operator) -> JSONResponse:
    """Let people in, shut them out, or forget what was decided; return who may speak then."""
    decided = {"allow": wanted.allow, "block": wanted.block, "remove": wanted.remove}
    return JSONResponse(await control.access(bot_id, **decided, actor=principal.actor(wanted.actor)))
