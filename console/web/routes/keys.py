"""Keys of the HTTP API, for the owner of the fleet alone: whoever may make keys may do everything."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from console.web.auth import Owner
from console.web.routes.access import TheControl

router = APIRouter(prefix="/keys", tags=["keys"], include_in_schema=False)


class NewKey(BaseModel):
    """A key to be made."""

    name: str
    scope: str
    client_id: str | None = None
    days: float | None = None
    actor: str = "api"


class Revocation(BaseModel):
    """A key to be revoked, by its name or id."""

    name: str
    actor: str = "api"


@router.get("")
async def keys(control: TheControl, _: Owner) -> list[dict[str, Any]]:
    """Return every key, without what would let anybody in."""
    return [{**key} for key in await control.keys()]


@router.post("")
async def add(wanted: NewKey, control: TheControl, who: Owner) -> dict[str, Any]:
    """Make a key; the answer is the only place it is told."""
    made = await control.key_add(
        wanted.name, wanted.scope, client_id=wanted.client_id, days=wanted.days, actor=who.actor(wanted.actor)
    )
    return {**made}


@router.post("/revoke")
async def revoke(wanted: Revocation, control: TheControl, who: Owner) -> dict[str, Any]:
    """Let a key be good no more."""
    return {**await control.key_revoke(wanted.name, actor=who.actor(wanted.actor))}
