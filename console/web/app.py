"""The one web application of a fleet. It speaks to a Control and knows nothing else of the fleet.

The way in: named (`requests`) → bounded (`bounds`) → let in (`doorkeeper`) → once only (`orders`) → a route, which says what it
needs (`auth`).
"""

from __future__ import annotations

from fastapi import FastAPI

from console.cli import version
from console.control import Control
from console.web import auth, bounds, doorkeeper, errors, orders, requests
from console.web.api import Api
from console.web.routes import (
    accounts,
    actions,
    bots,
    chat,
    conversations,
    files,
    fleet,
    health,
    journal,
    keys,
    openai,
    people,
    reference,
    registrations,
    tails,
    talks,
)
from workers.clock import Clock

FAMILIES = (
    chat, openai, fleet, bots, registrations, files, conversations, talks, accounts, people, actions, journal, tails, keys,
    reference,
)  # fmt: skip
"""The routes below /v1, those asked for most at the top: they are looked through in this order."""


def make_app(control: Control, clock: Clock, api: Api | None = None) -> FastAPI:
    """Return the application that serves a control. Routes find all three under `request.app.state`.

    Without an api it answers nobody but who comes through the control socket.
    """
    app = FastAPI(title="botdeck", version=version(), docs_url=None, redoc_url=None, openapi_url=None)
    app.state.control = control
    app.state.clock = clock
    app.state.api = api
    errors.install(app)
    for family in FAMILIES:
        auth.include(app, family.router, "/v1")
    auth.include(app, health.router, "/v1", described=False)
    auth.include(app, health.router)
    app.add_middleware(orders.Orders, clock=clock)
    app.add_middleware(doorkeeper.Doorkeeper, api=api, public=auth.public_paths(app), clock=clock)
    app.add_middleware(bounds.Bounds, limit=lambda: api.settings().max_body_kb * 1024 if api is not None else 0)
    app.add_middleware(requests.Requests)
    return app
