"""What routes reach through the application they belong to."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Query, Request
from pydantic import Field

from console.control import Control
from workers.clock import Clock


def _control(request: Request) -> Control:
    return cast("Control", request.app.state.control)


def _clock(request: Request) -> Clock:
    return cast("Clock", request.app.state.clock)


MOMENTS = Field(ge=-1e12, le=1e12, allow_inf_nan=False)
Moment = Annotated[float, Query(), MOMENTS]
"""Unix time in seconds, within what arithmetic and database can take."""

Number = Annotated[int, Query(ge=0, le=2**62)]

TheControl = Annotated[Control, Depends(_control)]
TheClock = Annotated[Clock, Depends(_clock)]
