"""What routes reach through the application they belong to."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from console.control import Control
from workers.clock import Clock


def _control(request: Request) -> Control:
    return cast("Control", request.app.state.control)


def _clock(request: Request) -> Clock:
    return cast("Clock", request.app.state.clock)


TheControl = Annotated[Control, Depends(_control)]
TheClock = Annotated[Clock, Depends(_clock)]
