"""The API described: as OpenAPI for programs, and as one page for people that loads nothing from anywhere."""

from __future__ import annotations

from functools import cache
from html import escape
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse, Response

from console.web.auth import ANYBODY, Requirement, requirements
from console.web.stream import encoded

router = APIRouter(tags=["reference"])

PAGE_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
h2 { margin-top: 2rem; } table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid #8884; padding: .4rem .8rem .4rem 0; vertical-align: top; }
code { font-family: ui-monospace, monospace; white-space: nowrap; }
.needs { opacity: .7; white-space: nowrap; } :root { color-scheme: light dark; }
"""


@router.get("/openapi.json", dependencies=[ANYBODY])
async def openapi(request: Request) -> Response:
    """Return the description of every route."""
    return Response(encoded(described(request.app)), media_type="application/json")


@router.get("/docs", dependencies=[ANYBODY], include_in_schema=False)
async def page(request: Request) -> Response:
    """Return the same as a page."""
    return HTMLResponse(_page(request.app), headers={"content-security-policy": PAGE_POLICY})


@cache
def described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document of an application, with the key every route but the public ones needs."""
    document = app.openapi()
    schemes = document.setdefault("components", {}).setdefault("securitySchemes", {})
    schemes["key"] = {"type": "http", "scheme": "bearer", "description": "A key made by `botdeck key add`."}
    needs = requirements(app)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            asked = needs.get(f"{method.upper()} {path}", [])
            operation["x-scope"] = _words(asked)
            operation["security"] = [{"key": []}] if any(one.scope for one in asked) else []
    return document


def _words(asked: list[Requirement]) -> str:
    """Say what a route needs."""
    for one in asked:
        if one.owner:
            return "control socket only"
        if one.scope:
            return f"{one.scope}, of one client too" if one.bound else one.scope
    return "no key"


@cache
def _page(app: FastAPI) -> str:
    document = described(app)
    families: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            family = next(iter(operation.get("tags", [])), "more")
            families.setdefault(family, []).append(_row(method, path, operation))
    tables = "".join(f"<h2>{escape(name)}</h2><table>{''.join(rows)}</table>" for name, rows in families.items())
    title = f"botdeck {escape(document['info']['version'])}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f'<h1>{title}</h1><p>Send <code>Authorization: Bearer KEY</code>. <a href="openapi.json">openapi.json</a> has '
        f"every parameter and body.</p>{tables}</html>"
    )


def _row(method: str, path: str, operation: dict[str, Any]) -> str:
    said = escape(str(operation.get("description", "")))
    return (
        f"<tr><td><code>{escape(method.upper())} {escape(path)}</code><td>{said}"
        f'<td class="needs">{escape(str(operation["x-scope"]))}</tr>'
    )
