"""`[[tools]]`: what the model may call."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from config.sections.base import Listed, Section, key
from config.vocabulary import Effect, Secret

Word = Annotated[str, Field(min_length=1)]


class ToolSection(Section):
    """`[[tools]]`: what the model may call, a table each. kind tells which of the other keys count."""

    name: str = key(
        "Name the model calls it by; of builtin: time or calculator.",
        Effect.NEXT_TURN,
        default="",
        example='"weather"',
        allowed="1 to 64 letters a-z and A-Z, digits, _ and -",
    )
    kind: Literal["", "builtin", "python", "http", "mcp"] = key(
        "Where it comes from: built in, a function in tools/, an HTTP call, an MCP server.",
        Effect.NEXT_TURN,
        default="",
        example='"http"',
        allowed='"builtin" or "python" or "http" or "mcp"',
    )
    description: str = key(
        "What the model is told it does; python: unset = the docstring.",
        Effect.NEXT_TURN,
        default="",
        example='"The weather of a city"',
    )
    timeout_s: float | None = key(
        "Limit of one call; unset = tool_timeout_s of [limits].",
        Effect.NEXT_TURN,
        "s",
        default=None,
        gt=0,
        le=3600,
        example="5.0",
    )
    callable: str = key(
        'python: "file:function", of tools/file.py in the fleet\'s folder.',
        Effect.NEXT_TURN,
        default="",
        example='"orders:find_order"',
        allowed='"file:function"',
    )
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = key("http: the method.", Effect.NEXT_TURN, default="GET")
    url: str = key(
        "http: the address, with {name} for an argument; mcp: the address of a server.",
        Effect.NEXT_TURN,
        default="",
        example='"https://api.example.org/weather/{city}"',
        allowed="an http:// or https:// address",
        repr=False,
    )
    query: dict[str, Any] = key(
        "http: what is appended to the address, with {name} for an argument.",
        Effect.NEXT_TURN,
        default_factory=dict,
        example='{ units = "metric" }',
        repr=False,
    )
    headers: dict[str, Secret] = key(
        "http, mcp: headers; each value may be a reference to a secret.",
        Effect.NEXT_TURN,
        default_factory=dict,
        example='{ Authorization = "Bearer ${WEATHER_KEY}" }',
    )
    body: dict[str, Any] = key(
        "http: sent as JSON, with {name} for an argument.",
        Effect.NEXT_TURN,
        default_factory=dict,
        example='{ city = "{city}" }',
        repr=False,
    )
    parameters: dict[str, Any] = key(
        "http: the arguments, name = its JSON Schema.",
        Effect.NEXT_TURN,
        default_factory=dict,
        example='{ city = { type = "string" } }',
    )
    required: Listed[Word] = key(
        "http: names of the arguments that must be given.", Effect.NEXT_TURN, default=(), example='["city"]'
    )
    result: str = key(
        "http: which part of a JSON answer the model is told, names joined by dots; empty = all.",
        Effect.NEXT_TURN,
        default="",
        example='"current.text"',
    )
    command: Listed[Word] = key(
        "mcp: the program that is the server, and its arguments.",
        Effect.NEXT_TURN,
        default=(),
        example='["uvx", "mcp-server-time"]',
        repr=False,
    )
    env: dict[str, Secret] = key(
        "mcp: environment variables of the program; each value may be a reference to a secret.",
        Effect.NEXT_TURN,
        default_factory=dict,
        example='{ API_KEY = "${FILES_KEY}" }',
    )
    allow: Listed[Word] = key(
        "mcp: the server's tools the model is offered; empty = all.",
        Effect.NEXT_TURN,
        default=(),
        example='["get_current_time"]',
    )
