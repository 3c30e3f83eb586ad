"""The fleet as a whole: who answers, its files, its database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from console.errors import BadRequest
from console.web.auth import READ, Operator, Owner
from console.web.routes.access import TheControl

router = APIRouter(tags=["fleet"])


class Reload(BaseModel):
    """Who wants the folder read anew."""

    actor: str = "api"


class Backup(BaseModel):
    """Where a copy of the database goes: an absolute path of this machine."""

    target: str
    overwrite: bool = False


class Import(BaseModel):
    """A portable file of this machine, and the bot it is for (none: the bot it came from)."""

    source: str
    bot_id: str | None = None
    actor: str = "api"


@router.get("/info", dependencies=[READ])
async def info(control: TheControl) -> dict[str, Any]:
    """Return who answers."""
    return {**await control.info()}


@router.get("/check", dependencies=[READ])
async def check(control: TheControl) -> dict[str, Any]:
    """Check the files as they are now."""
    return await control.check()


@router.post("/reload")
async def reload(wanted: Reload, control: TheControl, principal: Operator) -> dict[str, Any]:
    """Read the folder anew now."""
    return await control.reload(actor=principal.actor(wanted.actor))


@router.post("/backup")
async def backup(wanted: Backup, control: TheControl, _: Owner) -> dict[str, Any]:
    """Copy the database, verified."""
    return await control.backup(absolute(wanted.target), overwrite=wanted.overwrite)


@router.post("/import")
async def import_bot(wanted: Import, control: TheControl, principal: Owner) -> dict[str, Any]:
    """Read a portable file into an empty partition."""
    return await control.import_bot(absolute(wanted.source), wanted.bot_id, actor=principal.actor(wanted.actor))


def absolute(text: str) -> Path:
    """Return a path of the fleet's machine. Raises BadRequest for a relative one: the caller's folder is not ours."""
    path = Path(text)
    if not path.is_absolute():
        raise BadRequest(f"{text!r} is not an absolute path")
    return path
