"""Files of bots: read, tried, saved; what adds one (the route is beside the registrations')."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from console.web.auth import READ, Owner
from console.web.routes.access import Moment, Number, TheControl

router = APIRouter(prefix="/bots", tags=["files"])


class Text(BaseModel):
    """A text in place of a file."""

    text: str


class Saving(Text):
    """The same, to be saved over the file with this digest."""

    expected_digest: str
    actor: str = "api"


class NewBot(BaseModel):
    """A bot to be added, as `console.answers.Draft` describes it."""

    model_config = ConfigDict(extra="forbid")

    bot_id: str
    token: str
    name: str = ""
    provider: str = ""
    model: str = ""
    api_key: str = ""
    base_url: str = ""
    prompt: str = ""
    telegram_url: str = ""
    verify: bool = True


class Adding(BaseModel):
    """A new bot, and who wants it."""

    draft: NewBot
    actor: str = "api"


@router.get("/{bot_id}/file")
async def file(bot_id: str, control: TheControl, _: Owner) -> dict[str, Any]:
    """Return the bot's file as it lies on the disk."""
    return {**await control.config_file(bot_id)}


@router.post("/{bot_id}/file")
async def save(bot_id: str, wanted: Saving, control: TheControl, principal: Owner) -> dict[str, Any]:
    """Put a text in the place of the bot's file and apply it."""
    actor = principal.actor(wanted.actor)
    return await control.save_config(bot_id, wanted.text, expected_digest=wanted.expected_digest, actor=actor)


@router.post("/{bot_id}/preview")
async def preview(bot_id: str, wanted: Text, control: TheControl, _: Owner) -> dict[str, Any]:
    """Say what a text would do in place of the bot's file."""
    return {**await control.preview(bot_id, wanted.text)}


@router.get("/{bot_id}/series", dependencies=[READ])
async def series(bot_id: str, control: TheControl, since: Moment, until: Moment, step_s: Number) -> dict[str, Any]:
    """Return the bot's measures over time."""
    return {**await control.series(bot_id, since=since, until=until, step_s=step_s)}
