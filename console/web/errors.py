"""Errors on the wire: a status code, and always {"error", "message", "detail", "timestamp"}."""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from config.errors import ConfigError, FleetError
from console.errors import BadRequest, Conflict, NotAllowed, ReadOnly, ShuttingDown, described
from store.errors import StoreFull, StoreUnavailable
from workers.errors import NoSuchBot, WrongPhase

STATUS: Final[tuple[tuple[type[FleetError], int], ...]] = (
    (NoSuchBot, 404),
    (WrongPhase, 409),
    (Conflict, 409),
    (NotAllowed, 403),
    (ReadOnly, 403),
    (BadRequest, 400),
    (ConfigError, 422),
    (ShuttingDown, 503),
    (StoreFull, 503),
    (StoreUnavailable, 503),
)
"""Status code of an error's class; 500 for the rest."""


def install(app: FastAPI) -> None:
    """Give every error of an application its form."""
    app.add_exception_handler(FleetError, _fleet_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


def _answer(request: Request, status: int, error: FleetError) -> JSONResponse:
    body = described(error) | {"timestamp": request.app.state.clock.now()}
    return JSONResponse(body, status_code=status)


def answer_of(request: Request, error: FleetError) -> JSONResponse:
    """Return an error as an answer."""
    status = next((code for kind, code in STATUS if isinstance(error, kind)), 500)
    return _answer(request, status, error)


def _fleet_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FleetError)
    return answer_of(request, error)


def _bad_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return _answer(request, 400, BadRequest(f"the request is not understood: {found}"))


def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    return _answer(request, error.status_code, BadRequest(f"{request.method} {request.url.path}: {error.detail}"))


def _unexpected(request: Request, error: Exception) -> JSONResponse:
    # The text of a stranger's exception may hold anything: it is not sent. uvicorn logs it, redacted as all is.
    return _answer(request, 500, FleetError(f"{type(error).__name__} in the fleet", "its log says more"))
