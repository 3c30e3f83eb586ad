"""What bots spent, and what is known of people."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from console.web.auth import READ, Operator
from console.web.routes.access import TheControl

router = APIRouter(tags=["accounts"])


class Facts(BaseModel):
    """What is to be written down of a person; a fact without a value is deleted."""

    user_id: str
    changes: dict[str, str | None]
    actor: str = "api"


@router.get("/usage", dependencies=[READ])
async def usage(
    control: TheControl, bots: Annotated[list[str], Query(default_factory=list)], by: str = "day", days: int = 30
) -> JSONResponse:
    """Return what bots spent in the last days."""
    return JSONResponse(await control.usage(bots, by=by, days=days))


@router.get("/bots/{bot_id}/profile", dependencies=[READ])
async def profile(bot_id: str, control: TheControl, user_id: str) -> JSONResponse:
    """Return what is known of a person."""
    return JSONResponse(await control.profile(bot_id, user_id))


@router.post("/bots/{bot_id}/profile")
async def change_profile(bot_id: str, wanted: Facts, control: TheControl, principal: Operator) -> JSONResponse:
    """Write facts down; return what is known of the person then."""
    actor = principal.actor(wanted.actor)
    return JSONResponse(await control.profile(bot_id, wanted.user_id, changes=wanted.changes, actor=actor))
