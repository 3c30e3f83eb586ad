"""The bots: all at once, one in full, its configuration, asked to start, stop and the like; the folder's and the registered."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from console.answers import BotRow
from console.control import Action
from console.tenants import Tenants
from console.web.auth import READ, Admin, ClientReader, Operator, Owner, Principal
from console.web.errors import ConflictError
from console.web.pages import cursor_of, page, place_of
from console.web.routes.access import TheControl, TheTenants
from console.web.routes.fleet import Backup, absolute
from workers.registrations.base import Registration
from workers.registrations.differences import masked

router = APIRouter(prefix="/bots", tags=["bots"])

PAGE: Final = 1000
_FOLDER: Final = {"origin": "folder"}


class Steering(StrEnum):
    """What may be asked of one bot. reload reads its configuration anew: the folder's files, or its registration."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PAUSE = "pause"
    RESUME = "resume"
    RELOAD = "reload"


class Asked(BaseModel):
    """Who asks, and why."""

    actor: str = ""
    reason: str = ""


class Removal(BaseModel):
    """Who wants a bot gone."""

    actor: str = "api"


def registered_row(found: Registration) -> dict[str, Any]:
    """Return a registration as a row of the list of bots: it runs in no worker, and either answers or does not."""
    active = found.status == "active"
    row: BotRow = {
        "bot_id": found.bot_id,
        "name": str(found.config.get("name") or found.bot_id),
        "phase": "running" if active else "stopped",
        "phase_reason": "",
        "conditions": {},
        "desired": "run" if active else "stop",
        "paused": False,
        "since": found.updated_ms / 1000,
        "telegram": None,
        "last_poll_age_s": None,
        "inbox_open": 0,
        "outbox_open": 0,
        "turns": 0,
        "errors": 0,
        "restarts": 0,
        "ambiguous_sends": 0,
        "retry_at": None,
        "generation": found.version,
        "observed_generation": found.version,
        "config_error": None,
    }
    own = {"origin": "registered", "version": found.version, "status": found.status, "metadata": found.metadata}
    return {**row, **own, "created_at": found.created_ms / 1000}


@router.get("")
async def status(
    request: Request,
    control: TheControl,
    tenants: TheTenants,
    principal: ClientReader,
    origin: Literal["folder", "registered"] | None = None,
    cursor: Annotated[str, Query(max_length=1024)] = "",
    limit: Annotated[int, Query(ge=1, le=100_000)] | None = None,
) -> Response:
    """Return the fleet and its bots, by id; `origin` says of each whether a file or a registration makes it.

    At most 1,000 at once where registered ones are among them, unless `limit` says otherwise. A key bound to a client
    sees the ids of those that answer it, and nothing of the fleet.
    """
    behind = (place_of(cursor, str) or ("",))[0]
    if principal.client_id is not None:
        rows: list[dict[str, Any]] = [{"bot_id": one.bot_id} for one in await tenants.answering(principal.client_id)]
        shown: dict[str, Any] = {}
    else:
        found = await control.status()
        shown = {"fleet": found["fleet"]}
        rows = [{**row, **_FOLDER} for row in found["bots"]] if origin != "registered" else []
        if origin != "folder":
            rows += map(registered_row, await tenants.registrations())
    rows = sorted((row for row in rows if row["bot_id"] > behind), key=lambda row: str(row["bot_id"]))
    most = limit or (len(rows) if origin == "folder" else PAGE)
    more = cursor_of(rows[most - 1]["bot_id"]) if len(rows) > most else ""
    # A thousand bots: our own plain rows are not validated on the way out.
    return page(request, {**shown, "bots": rows[:most]}, more)


@router.get("/{bot_id}")
async def bot(bot_id: str, control: TheControl, tenants: TheTenants, principal: ClientReader) -> dict[str, Any]:
    """Return all that is known of one bot; to a key bound to a client, that it is there."""
    if principal.client_id is not None:
        return {"bot_id": (await tenants.bot(bot_id, principal.client_id)).bot_id}
    if tenants.in_folder(bot_id):
        return {**await control.bot(bot_id), **_FOLDER}
    found = await tenants.registration(bot_id)
    return {**registered_row(found), "config": masked(found.config)}


@router.get("/{bot_id}/config", dependencies=[READ])
async def config(bot_id: str, control: TheControl, tenants: TheTenants) -> dict[str, Any]:
    """Return the effective configuration, or what was registered; secrets masked."""
    if tenants.in_folder(bot_id):
        return await control.config_show(bot_id)
    found = await tenants.registration(bot_id)
    return {"bot_id": bot_id, "version": found.version, "config": masked(found.config)}


@router.post("/{bot_id}/export")
async def export(bot_id: str, wanted: Backup, control: TheControl, _: Owner) -> dict[str, Any]:
    """Write the bot's rows to a portable file."""
    return await control.export_bot(bot_id, absolute(wanted.target), overwrite=wanted.overwrite)


@router.post("/{bot_id}/remove")
async def remove(bot_id: str, wanted: Removal, control: TheControl, principal: Admin) -> dict[str, Any]:
    """Stop the bot, delete its file and its rows."""
    return await control.remove_bot(bot_id, actor=principal.actor(wanted.actor))


async def steer(
    bot_id: str,
    action: Steering,
    control: TheControl,
    tenants: Tenants,
    principal: Principal,
    asked: Asked,
) -> JSONResponse:
    """Ask one bot for an action. Raises what becomes of it."""
    actor = principal.actor(asked.actor)
    if not tenants.in_folder(bot_id):
        await tenants.steer(bot_id, action.value, actor=actor)
        return JSONResponse({"bot_id": bot_id, "action": action.value, "ok": True})
    if action is Steering.RELOAD:
        await control.reload(actor=actor)
    else:
        [outcome] = await control.steer(Action(action.value), [bot_id], actor=actor, reason=asked.reason)
        if not outcome["ok"]:
            raise ConflictError(outcome["message"], {"bot_id": bot_id}, hint=outcome["hint"])
    return JSONResponse({"bot_id": bot_id, "action": action.value, "ok": True})


def _add(action: Steering) -> None:
    """Add the route of one action."""

    async def act(
        bot_id: str, control: TheControl, tenants: TheTenants, principal: Operator, asked: Asked | None = None
    ) -> JSONResponse:
        return await steer(bot_id, action, control, tenants, principal, asked or Asked())

    summary = f"{action.value.capitalize()} one bot."
    router.add_api_route(
        f"/{{bot_id}}/{action.value}", act, methods=["POST"], name=action.value, summary=summary, description=_STEERED
    )


_STEERED: Final = (
    "A bot of the folder does it in its worker: the answer comes when that is ordered, not when it is done. A registered one "
    "starts and stops answering, and reload reads its registration anew; it has no worker to restart or pause: 409."
)
for each in Steering:
    _add(each)
