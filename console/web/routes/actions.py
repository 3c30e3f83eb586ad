"""Asking bots to start, stop, restart, pause, resume or reset, and waiting for them to be there."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from config.vocabulary import Phase
from console.control import Action
from console.web.auth import READ, Operator
from console.web.routes.access import MOMENTS, TheControl

router = APIRouter(tags=["actions"])


class Order(BaseModel):
    """Bot ids and globs, who asks, and why."""

    selectors: Annotated[list[str], Field(min_length=1)]
    actor: str = "api"
    reason: str = ""
    expected_generation: int | None = None


class Wait(BaseModel):
    """Bots, the phases any of which will do, the moment they are to be entered after, and patience in seconds."""

    bot_ids: list[str]
    phases: list[Phase]
    timeout_s: Annotated[float, Field(ge=0, le=3600)]
    since: Annotated[float, MOMENTS] = 0.0


@router.post("/actions/{action}")
async def act(action: Action, order: Order, control: TheControl, principal: Operator) -> dict[str, Any]:
    """Ask bots for an action; {"outcomes": [...]} says what became of each."""
    outcomes = await control.steer(
        action,
        order.selectors,
        actor=principal.actor(order.actor),
        reason=order.reason,
        expected_generation=order.expected_generation,
    )
    return {"outcomes": outcomes}


@router.post("/wait", dependencies=[READ])
async def wait(wanted: Wait, control: TheControl) -> dict[str, Any]:
    """Wait until the bots are in one of the phases; {"missing": [...]} names those that were not there in time."""
    missing = await control.wait(wanted.bot_ids, wanted.phases, timeout_s=wanted.timeout_s, since=wanted.since)
    return {"missing": missing}
