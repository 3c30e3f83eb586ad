"""Files of bots: read, tried, saved, added."""

from __future__ import annotations

from typing import Any, cast

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from console.answers import Draft
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


@router.post("")
async def add(wanted: Adding, control: TheControl) -> dict[str, Any]:
    """Write the file of a new bot and start it."""
    return await control.add_bot(cast("Draft", wanted.draft.model_dump()), actor=wanted.actor)


@router.get("/{bot_id}/file")
async def file(bot_id: str, control: TheControl) -> dict[str, Any]:
    """Return the bot's file as it lies on the disk."""
    return {**await control.config_file(bot_id)}


@router.post("/{bot_id}/file")
async def save(bot_id: str, wanted: Saving, control: TheControl) -> dict[str, Any]:
    """Put a text in the place of the bot's file and apply it."""
    return await control.save_config(bot_id, wanted.text, expected_digest=wanted.expected_digest, actor=wanted.actor)


@router.post("/{bot_id}/preview")
async def preview(bot_id: str, wanted: Text, control: TheControl) -> dict[str, Any]:
    """Say what a text would do in place of the bot's file."""
    return {**await control.preview(bot_id, wanted.text)}


@router.get("/{bot_id}/series")
async def series(bot_id: str, control: TheControl, since: Moment, until: Moment, step_s: Number) -> dict[str, Any]:
    """Return the bot's measures over time."""
    return {**await control.series(bot_id, since=since, until=until, step_s=step_s)}
