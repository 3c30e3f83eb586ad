"""Sessions with MCP servers through the official library. Imported on use only: it is an extra, and large."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final, Self, cast

import anyio
import anyio.to_thread
import httpx2
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, CallToolResult, Implementation, Tool
from pydantic import ValidationError

from workers.errors import ToolFailed
from workers.tools.servers import Offer, Server

TOOLS: Final = 128
"""Tools of one server the model may be offered."""

PAGES: Final = 20
LONGEST_DESCRIPTION: Final = 4000
LARGEST_SCHEMA: Final = 32_768
LONGEST_LINE: Final = 8192
_TERMINATED: Final = "Session terminated"
"""What the library says when an HTTP server does not know the session any more."""

logging.getLogger("httpx2").setLevel(logging.WARNING)  # it tells of every request


class McpLink:
    """An open session with one server."""

    def __init__(self, client: Client, ended: anyio.Event) -> None:
        self._client = client
        self.ended = ended
        self.changed = anyio.Event()

    async def offers(self) -> tuple[Offer, ...]:
        """Ask what the server offers; at most TOOLS, those too large left out."""
        found: list[Tool] = []
        cursor: str | None = None
        for _ in range(PAGES):
            page = await self._client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None or len(found) >= TOOLS:
                break
        return tuple([_offer(tool) for tool in found[:TOOLS] if len(json.dumps(tool.input_schema)) <= LARGEST_SCHEMA])

    async def call(self, name: str, arguments: dict[str, Any]) -> str:
        """Call a tool. Raises ToolFailed."""
        try:
            result = await self._client.call_tool(name, arguments)
        except MCPError as error:
            if error.code == CONNECTION_CLOSED or error.message == _TERMINATED:
                self.ended.set()
                raise ToolFailed("its server ended; whether the call was done is not known") from None
            raise ToolFailed(f"its server refused: {error.message}") from None
        except (ValidationError, RuntimeError) as error:
            raise ToolFailed(f"its server gave an answer that is not understood: {type(error).__name__}") from None
        text = _text(result)
        if result.is_error:
            raise ToolFailed(text or "it failed and does not say why")
        return text


@asynccontextmanager
async def connect(server: Server, said: Callable[[str], None]) -> AsyncIterator[McpLink]:
    """Start or reach a server for the length of the block, which must begin and end in one task.

    said is called with what a process writes to its stderr. Raises whatever the transport raises, also in groups.
    """
    ended = anyio.Event()
    async with AsyncExitStack() as stack:
        transport = _process(server, said, ended) if server.command else _http(server, ended)
        link: list[McpLink] = []

        async def hear(message: Any) -> None:
            if getattr(message, "method", "") == "notifications/tools/list_changed" and link:
                link[0].changed.set()

        client = Client(
            cast("Any", transport),
            message_handler=hear,
            client_info=Implementation(name="botdeck", version="1"),
            cache=None,
        )
        await stack.enter_async_context(client)
        link.append(McpLink(client, ended))
        yield link[0]


@asynccontextmanager
async def _process(server: Server, said: Callable[[str], None], ended: anyio.Event) -> AsyncIterator[tuple[Any, Any]]:
    """Start a process and speak with it over its stdin and stdout; its stderr is read line by line."""
    program, *arguments = server.command
    parameters = StdioServerParameters(command=program, args=arguments, env=dict(server.env), cwd=server.folder or None)
    reading, writing = os.pipe()
    heard = os.fdopen(reading, "rb", buffering=0)
    # A cancellation while the pipes and the process are made would leave them to the garbage collector.
    with os.fdopen(writing, "w") as errors, anyio.CancelScope(shield=True) as making:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: _Lines(said), heard)
        try:
            async with stdio_client(parameters, errlog=errors) as (read, write):
                making.shield = False
                errors.close()
                yield _Watched(read, ended), write
        finally:
            transport.close()


@asynccontextmanager
async def _http(server: Server, ended: anyio.Event) -> AsyncIterator[tuple[Any, Any]]:
    """Reach a server over HTTP with the headers its operator wrote; they go to no other host."""
    # Made in a thread: it reads the system's certificates, which takes 50 ms.
    client = await anyio.to_thread.run_sync(lambda: _http_client(dict(server.headers)))
    async with client, streamable_http_client(server.url, http_client=client) as (read, write):
        yield _Watched(read, ended), write


def _http_client(headers: dict[str, str]) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30.0, read=300.0), trust_env=False)


class _Watched:
    """A stream of a transport that tells when its reader is done with it."""

    def __init__(self, stream: Any, ended: anyio.Event) -> None:
        self._stream = stream
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> _Watched:
        return self

    async def __anext__(self) -> Any:
        return await self._stream.__anext__()

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> Any:
        self._ended.set()
        return await self._stream.__aexit__(*error)


class _Lines(asyncio.Protocol):
    """Hands on what arrives line by line, the first LONGEST_LINE bytes of each."""

    def __init__(self, said: Callable[[str], None]) -> None:
        self._said = said
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:LONGEST_LINE]
        for line in lines:
            text = line[:LONGEST_LINE].decode("utf-8", errors="replace").strip()
            if text:
                self._said(text)


def _offer(tool: Tool) -> Offer:
    description = (tool.description or tool.title or "")[:LONGEST_DESCRIPTION]
    return Offer(tool.name, description, {"type": "object", "properties": {}, **tool.input_schema})


def _text(result: CallToolResult) -> str:
    """Return a result as text: its texts, what else there is by name; what is structured when there is no text."""
    pieces: list[str] = []
    for block in result.content:
        resource = getattr(block, "resource", None)
        text = getattr(block, "text", None) or getattr(resource, "text", None)
        where = getattr(block, "uri", None) or getattr(resource, "uri", "")
        pieces.append(text if text is not None else f"({block.type} {getattr(block, 'mime_type', None) or where})")
    if not pieces and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(pieces)
