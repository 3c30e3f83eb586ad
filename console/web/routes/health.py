"""Whether the fleet lives, whether it is ready, and what there is to measure: for supervisors, without a version in the path."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from console.web.api import Api
from console.web.auth import ANYBODY, READ
from console.web.errors import UnavailableError

router = APIRouter(tags=["health"])

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


def _api(request: Request) -> Api:
    api = cast("Api | None", request.app.state.api)
    if api is None:
        raise UnavailableError("this application was made without a fleet to measure")
    return api


@router.get("/healthz", dependencies=[ANYBODY])
async def healthz() -> Response:
    """Say that the process lives and its loop turns."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", dependencies=[ANYBODY])
async def readyz(request: Request) -> Response:
    """Say whether the fleet takes orders and can write: 200, or 503 with why not."""
    why = _api(request).ready()
    return JSONResponse({"status": why or "ready"}, status_code=503 if why else 200)


@router.get("/metrics", dependencies=[READ])
async def metrics(request: Request) -> StreamingResponse:
    """Return counters and gauges of the fleet and of every bot, as Prometheus reads them (text format 0.0.4)."""
    return StreamingResponse(_api(request).measures(), media_type=EXPOSITION)
