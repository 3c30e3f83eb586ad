"""What routes reach through the application they belong to."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Query, Request
from pydantic import Field

from config.errors import ConfigInvalid
from console.control import Control
from console.journals import Journals
from console.tenants import Tenants
from console.web.auth import Principal
from console.web.errors import ConfigurationError
from workers.bot import Bot
from workers.clock import Clock

# Coroutine functions, all of them: FastAPI sends others to a thread, which costs a request more than all the rest of it.


async def _control(request: Request) -> Control:
    return cast("Control", request.app.state.control)


async def _clock(request: Request) -> Clock:
    return clock_of(request)


async def _tenants(request: Request) -> Tenants:
    return cast("Tenants", request.app.state.api.tenants)


async def _journals(request: Request) -> Journals:
    return cast("Journals", request.app.state.api.journals)


MOMENTS = Field(ge=-1e12, le=1e12, allow_inf_nan=False)
Moment = Annotated[float, Query(), MOMENTS]
"""Unix time in seconds, within what arithmetic and database can take."""

Number = Annotated[int, Query(ge=0, le=2**62)]

TheControl = Annotated[Control, Depends(_control)]
TheClock = Annotated[Clock, Depends(_clock)]
TheTenants = Annotated[Tenants, Depends(_tenants)]
TheJournals = Annotated[Journals, Depends(_journals)]


def clock_of(request: Request) -> Clock:
    """Return the clock of the fleet."""
    return cast("Clock", request.app.state.clock)


async def bot_for(request: Request, bot_id: str, principal: Principal) -> Bot:
    """Return a bot somebody may talk to. Raises ConfigurationError for one whose registration makes no bot any more."""
    try:
        return await (await _tenants(request)).bot(bot_id, principal.client_id)
    except ConfigInvalid as error:
        raise ConfigurationError(bot_id, str(error)) from None
