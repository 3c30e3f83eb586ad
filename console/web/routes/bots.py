"""The bots: all at once, one in full, its configuration, its partition."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from console.web.routes.access import TheControl
from console.web.routes.fleet import Backup, absolute
from console.web.stream import encoded

router = APIRouter(prefix="/bots", tags=["bots"])


class Removal(BaseModel):
    """Who wants a bot gone."""

    actor: str = "api"


@router.get("")
async def status(control: TheControl) -> Response:
    """Return the fleet and every bot of it."""
    # A thousand bots: our own plain rows are not validated on the way out.
    return Response(encoded(await control.status()), media_type="application/json")


@router.get("/{bot_id}")
async def bot(bot_id: str, control: TheControl) -> dict[str, Any]:
    """Return all that is known of one bot."""
    return await control.bot(bot_id)


@router.get("/{bot_id}/config")
async def config(bot_id: str, control: TheControl) -> dict[str, Any]:
    """Return the effective configuration, secrets masked."""
    return await control.config_show(bot_id)


@router.post("/{bot_id}/export")
async def export(bot_id: str, wanted: Backup, control: TheControl) -> dict[str, Any]:
    """Write the bot's rows to a portable file."""
    return await control.export_bot(bot_id, absolute(wanted.target), overwrite=wanted.overwrite)


@router.post("/{bot_id}/remove")
async def remove(bot_id: str, wanted: Removal, control: TheControl) -> dict[str, Any]:
    """Stop the bot, delete its file and its rows."""
    return await control.remove_bot(bot_id, actor=wanted.actor)
