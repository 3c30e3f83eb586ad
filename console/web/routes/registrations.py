"""Bots registered by programs: made, changed, taken out, and the versions of what was registered."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from config.errors import ConfigInvalid
from config.vocabulary import BOT_ID_PATTERN
from console.answers import Draft
from console.web.auth import READ, Admin
from console.web.errors import PermissionDeniedError, ValidationError
from console.web.routes.access import TheControl, TheTenants
from console.web.routes.bots import registered_row
from console.web.routes.files import Adding
from workers.registrations.base import Registration
from workers.registrations.differences import masked

router = APIRouter(prefix="/bots", tags=["registrations"])

T = TypeVar("T")
Mapped = dict[str, Any]
Version = Annotated[int, Query(ge=1, le=2**53)]


class NewRegistration(BaseModel):
    """A bot to be registered: its id, its configuration as in a bot's file, and whatever the program wants kept with it.

    The configuration must mean the same on every machine: no absolute paths, no addresses of this machine or network, no
    secrets as they are (`${NAME}` stands for one).
    """

    model_config = ConfigDict(extra="forbid")

    bot_id: Annotated[str, Field(pattern=f"^{BOT_ID_PATTERN}$")]
    config: Mapped
    metadata: Mapped = Field(default_factory=dict)


class Change(BaseModel):
    """What is to be different: config and metadata are merged into those there are (RFC 7396: null takes a key out)."""

    model_config = ConfigDict(extra="forbid")

    config: Mapped | None = None
    metadata: Mapped | None = None


def _kind(body: Any) -> str:
    return "file" if isinstance(body, Mapping) and "draft" in body else "registration"


Wanted = Annotated[
    Annotated[NewRegistration, Tag("registration")] | Annotated[Adding, Tag("file")], Discriminator(_kind)
]


@router.post("", status_code=201)
async def create(
    wanted: Wanted, control: TheControl, tenants: TheTenants, principal: Admin, response: Response
) -> Mapped:
    """Register a bot; it answers from now on. Through the control socket also: write the file of a new bot."""
    if isinstance(wanted, Adding):
        if not principal.local:
            raise PermissionDeniedError("files are written at the fleet's own machine only", hint="register the bot")
        response.status_code = 200
        return await control.add_bot(cast("Draft", wanted.draft.model_dump()), actor=principal.actor(wanted.actor))
    found = await _told(
        tenants.register(wanted.bot_id, wanted.config, wanted.metadata, actor=principal.actor()), "config"
    )
    return shown(found)


@router.patch("/{bot_id}")
async def change(bot_id: str, wanted: Change, tenants: TheTenants, principal: Admin) -> Mapped:
    """Change a registration: a new version of it. It counts from the bot's next question on."""
    changing = tenants.change(bot_id, wanted.config or {}, wanted.metadata or {}, actor=principal.actor())
    return shown(await _told(changing, "config"))


@router.delete("/{bot_id}")
async def remove(bot_id: str, tenants: TheTenants, principal: Admin) -> Mapped:
    """Take a registration out, when the questions its bot was asked are answered. Conversations and versions are kept."""
    return {"bot_id": bot_id, "removed": True, "version": await tenants.remove(bot_id, actor=principal.actor())}


@router.get("/{bot_id}/registrations", dependencies=[READ])
async def history(bot_id: str, tenants: TheTenants) -> JSONResponse:
    """Return the versions of a registration that are kept, oldest first, of one that was removed too."""
    return JSONResponse([shown(each) for each in await tenants.history(bot_id)])


@router.get("/{bot_id}/registrations/diff", dependencies=[READ])
async def diff(bot_id: str, tenants: TheTenants, before: Version, after: Version) -> JSONResponse:
    """Return what changed from one version's configuration to another's, by dotted key."""
    return JSONResponse([asdict(each) for each in await tenants.diff(bot_id, before, after)])


@router.get("/{bot_id}/registrations/{version}", dependencies=[READ])
async def one(bot_id: str, version: int, tenants: TheTenants) -> Mapped:
    """Return one version."""
    return shown(await tenants.version(bot_id, version))


@router.post("/{bot_id}/registrations/{version}/restore")
async def restore(bot_id: str, version: int, tenants: TheTenants, principal: Admin) -> Mapped:
    """Register an older version anew, active."""
    return shown(await _told(tenants.restore(bot_id, version, actor=principal.actor()), "config"))


def shown(found: Registration) -> Mapped:
    """Return a registration as it is answered: its row, and its configuration with secrets masked."""
    return {**registered_row(found), "config": masked(found.config)}


async def _told(registering: Awaitable[T], where: str) -> T:
    """Return what is registered. Raises ValidationError that names the keys, for a configuration that is refused."""
    try:
        return await registering
    except ConfigInvalid as error:
        mistakes = [
            {"where": ".".join(filter(None, ("body", where, each.key))), "what": each.message, "hint": each.hint}
            for each in error.problems
        ]
        said = "; ".join(f"{each.key or 'config'}: {each.message}" for each in error.problems)
        raise ValidationError(f"the configuration is refused: {said}", {"mistakes": mistakes}) from None
