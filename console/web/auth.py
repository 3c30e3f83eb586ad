"""Who asks, and what they may: every route names what it needs, and one that names nothing is no route of ours.

    Reader, Operator, Admin         keys of this scope, or of one that holds it; never a key bound to a client
    ClientReader, ClientOperator    the same, and keys bound to a client: such a route asks `principal.client(wanted)`
                                    for the client it speaks for, and reaches no other
    Owner                           who came through the control socket: the owner of the fleet, and root
    Public                          everybody

As an argument of a route (`principal: Operator`) or, where the route has no use for who asks, among its dependencies
(`dependencies=[READ]`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, cast

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from console.errors import NotAllowed
from console.web.errors import AuthenticationError
from store.keys import SCOPES


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. scope is "" for nobody in particular; client_id is None for who may speak for every client.

    key_id is empty for who needs none: through the control socket (`local`), or over loopback where that is allowed.
    """

    name: str
    scope: str
    client_id: str | None = None
    key_id: str = ""
    local: bool = False

    def may(self, scope: str) -> bool:
        """Tell whether this scope is held."""
        return self.scope in SCOPES and SCOPES.index(self.scope) >= SCOPES.index(scope)

    def client(self, wanted: str = "") -> str:
        """Return the client a request may speak for: a bound key's own, else the one that is wanted.

        Raises NotAllowed when a bound key wants another one.
        """
        if self.client_id is None:
            return wanted
        if wanted not in {"", self.client_id}:
            raise NotAllowed(f"this key speaks for the client {self.client_id} only")
        return self.client_id

    def actor(self, said: str = "") -> str:
        """Return the name an order is written down under.

        Through the control socket it is what was said, as there it is the owner who says it; else the key's.
        """
        return said or self.name if self.local else self.name


NOBODY: Final = Principal("nobody", "")
OWNER: Final = Principal("socket", SCOPES[-1], local=True)
"""Who comes through the control socket: it lets in the owner of the fleet and root, and nobody else."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a route needs. scope "": nothing. bound: keys bound to a client will do. owner: the control socket."""

    scope: str
    bound: bool = False
    owner: bool = False

    def check(self, principal: Principal) -> Principal:
        """Return the principal when it will do. Raises AuthenticationError for nobody, NotAllowed for too little."""
        if not self.scope:
            return principal
        if not principal.scope:
            raise AuthenticationError
        if self.owner and not principal.local:
            raise NotAllowed("this is done at the fleet's own machine only", "use the command line there")
        if not principal.may(self.scope):
            raise NotAllowed(f"this needs the scope {self.scope}; the key has {principal.scope}")
        if principal.client_id is not None and not self.bound:
            raise NotAllowed(f"this key reaches what belongs to the client {principal.client_id} only")
        return principal


_REQUIREMENTS: Final[dict[Callable[..., Any], Requirement]] = {}
"""The function FastAPI calls → what it asks for."""


def _needs(requirement: Requirement) -> Callable[[Request], Awaitable[Principal]]:
    async def check(request: Request) -> Principal:
        return requirement.check(principal_of(request))

    _REQUIREMENTS[check] = requirement
    return check


_reader = _needs(Requirement("read"))
_operator = _needs(Requirement("operate"))
_admin = _needs(Requirement("admin"))
_client_reader = _needs(Requirement("read", bound=True))
_client_operator = _needs(Requirement("operate", bound=True))
_owner = _needs(Requirement("admin", owner=True))
_public = _needs(Requirement(""))

Reader = Annotated[Principal, Depends(_reader)]
Operator = Annotated[Principal, Depends(_operator)]
Admin = Annotated[Principal, Depends(_admin)]
ClientReader = Annotated[Principal, Depends(_client_reader)]
ClientOperator = Annotated[Principal, Depends(_client_operator)]
Owner = Annotated[Principal, Depends(_owner)]
Public = Annotated[Principal, Depends(_public)]

READ: Final = Depends(_reader)
OPERATE: Final = Depends(_operator)
ADMIN: Final = Depends(_admin)
ANYBODY: Final = Depends(_public)


def principal_of(request: Request) -> Principal:
    """Return who asks; NOBODY where no listener of ours has said."""
    return cast("Principal", request.scope.get("state", {}).get("principal", NOBODY))


def include(app: FastAPI, router: APIRouter, prefix: str = "", *, described: bool = True) -> None:
    """Add a family of routes to an application, so that `requirements` finds them."""
    app.include_router(router, prefix=prefix, include_in_schema=described)
    app.state.included = [*getattr(app.state, "included", ()), (prefix, router)]


def requirements(app: FastAPI) -> dict[str, list[Requirement]]:
    """Return what every route of an application needs, by its method and path; empty where it has named nothing."""
    found: dict[str, list[Requirement]] = {}
    for path, route in _routes(app):
        for method in sorted((getattr(route, "methods", None) or {"?"}) - {"HEAD"}):
            name = f"{method} {path}"
            # The first of two would answer, and the other's needs be read here.
            found[name] = [] if name in found else _named(route)
    return found


def public_paths(app: FastAPI) -> list[str]:
    """Return the paths everybody may ask for. Raises RuntimeError for a route that does not say what it needs."""
    found = requirements(app)
    for name, needs in found.items():
        if not needs:
            raise RuntimeError(f"{name} does not say who may ask for it")
    return [name.partition(" ")[2] for name, needs in found.items() if not any(one.scope for one in needs)]


def _routes(app: FastAPI) -> Iterator[tuple[str, BaseRoute]]:
    """Yield every route with its path; FastAPI either copies those of a router or keeps the router in their place."""
    included: list[tuple[str, APIRouter]] = list(app.state.included)
    for route in app.routes:
        router = getattr(route, "original_router", None)
        found = next((one for one in included if one[1] is router), None)
        if found is None:
            yield str(getattr(route, "path", route)), route
            continue
        included.remove(found)
        yield from ((found[0] + str(getattr(inner, "path", inner)), inner) for inner in found[1].routes)


def _named(route: BaseRoute) -> list[Requirement]:
    calls = _calls(route.dependant) if isinstance(route, APIRoute) else []
    return [_REQUIREMENTS[call] for call in calls if call in _REQUIREMENTS]


def _calls(dependant: Dependant) -> list[Callable[..., Any]]:
    """Return every function a route depends on."""
    found = [one.call for one in dependant.dependencies if one.call is not None]
    return found + [call for one in dependant.dependencies for call in _calls(one)]
