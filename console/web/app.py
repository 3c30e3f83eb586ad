"""The one web application of a fleet. It speaks to a Control and knows nothing else of the fleet."""

from __future__ import annotations

from fastapi import FastAPI

from console.cli import version
from console.control import Control
from console.web import bounds, errors, orders
from console.web.routes import accounts, actions, bots, files, fleet, journal, people, talks
from workers.clock import Clock


def make_app(control: Control, clock: Clock) -> FastAPI:
    """Return the application that serves a control. Routes find both under `request.app.state`."""
    app = FastAPI(title="botdeck", version=version(), docs_url=None, redoc_url=None, openapi_url="/v1/openapi.json")
    app.state.control = control
    app.state.clock = clock
    errors.install(app)
    app.add_middleware(orders.Orders, clock=clock)
    app.add_middleware(bounds.Bounds)
    for family in (fleet, bots, files, talks, accounts, people, actions, journal):
        app.include_router(family.router, prefix="/v1")
    return app
