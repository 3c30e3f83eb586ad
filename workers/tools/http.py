"""Tools that are HTTP requests, described in a bot's file: the operator names host and path, the model fills in values."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from config.vocabulary import Secret
from workers.errors import ChannelUnreachable, ToolFailed
from workers.http import BROKEN, LARGE_BYTES, reason_of
from workers.llm.base import ToolSpec
from workers.tools import templates
from workers.tools.arguments import check
from workers.tools.base import Parts, Tool, ToolContext, object_schema

if TYPE_CHECKING:
    from config.schema import ToolSection

logger = logging.getLogger(__name__)

LARGEST_ANSWER: Final = 1_000_000
"""Bytes read of an answer; what comes after is not waited for."""

SAID_BY_SERVER: Final = 500
"""Characters of an error's own words that the model is told."""

LONGEST_READ: Final = 8192
"""Characters of them that are looked through for secrets."""

REDIRECTS: Final = 5
_REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
_KEEPING: Final = frozenset({307, 308})
_UP: Final = re.compile(r"[/\\]")
_WRITTEN: Final = "%/?:@!$&'()*+,;=~[]"
"""Left as they are where the operator wrote them; what a model gives is encoded wholly, before."""


def source(section: ToolSection, parts: Parts) -> HttpSource:
    """Return the source of one `[[tools]]` table of kind http."""
    return HttpSource(section, parts)


class HttpSource:
    """One request."""

    def __init__(self, section: ToolSection, parts: Parts) -> None:
        self.name = section.name
        self._tools: tuple[HttpTool, ...] = ()
        try:
            self._tools = (HttpTool(section, parts),)
        except ValueError as error:
            logger.error("the tool %s is left out: %s", section.name, error)  # noqa: TRY400 (a mistake of the file, no trace)

    def current(self) -> bool:
        """Tell that nothing changes."""
        return True

    async def tools(self) -> Sequence[Tool]:
        """Return it."""
        return self._tools


class HttpTool:
    """A request with places for arguments in path, query and body; never in scheme, host or headers."""

    def __init__(self, section: ToolSection, parts: Parts) -> None:
        self.timeout_s = section.timeout_s
        schema = object_schema(section.parameters, section.required)
        self.spec = ToolSpec(section.name, section.description, schema)
        self._section = section
        self._http = parts.http
        self._clean = parts.clean
        self._headers = {name: revealed(value) for name, value in section.headers.items()}
        self._path = Path(revealed(section.url))

    async def run(self, arguments: dict[str, Any], context: ToolContext) -> str:
        """Send the request; return what `result` picks of the answer. Raises ToolFailed, which never quotes URL or headers."""
        check(self.spec.parameters, arguments)
        section = self._section
        url = self._path.url(arguments, _query(section.query, arguments))
        body = templates.value(_plain(section.body), arguments) if section.body else None
        try:
            return await self._follow(section.method, url, body)
        except TimeoutError:
            raise ToolFailed("the server gave no answer in time") from None
        except ChannelUnreachable as error:
            raise ToolFailed(error.message) from None
        except BROKEN as error:
            raise ToolFailed(f"no answer: {reason_of(error)}") from None
        except ValueError:
            raise ToolFailed(
                "the request cannot be written: its address or headers hold what may not stand there"
            ) from None

    async def _follow(self, method: str, url: URL, body: Any) -> str:
        """Send, and follow redirects that stay on the host."""
        for _ in range(REDIRECTS + 1):
            options: dict[str, Any] = {"headers": self._headers}
            if body is not None:
                options["json"] = body
            async with await self._http.request(method, url, **options) as response:
                if response.status not in _REDIRECTING or "Location" not in response.headers:
                    return await self._answer(response)
                url = _redirected(url, response.headers["Location"])
                if response.status not in _KEEPING and method != "HEAD":
                    method, body = "GET", None
        raise ToolFailed("the server redirects without end")

    async def _answer(self, response: aiohttp.ClientResponse) -> str:
        raw, whole = await _read(response)
        if not 200 <= response.status < 300:
            # Cut last: half a secret is one too.
            said = " ".join(self._clean(_text(response, raw)[:LONGEST_READ]).split())[:SAID_BY_SERVER]
            raise ToolFailed(f"the server answered {response.status}{': ' if said else ''}{said}")
        if not self._section.result:
            return _text(response, raw) or "done"
        if not whole:
            raise ToolFailed(f"the answer has more than {LARGEST_ANSWER} bytes")
        if len(raw) > LARGE_BYTES:
            async with self._http.large:
                return _picked(raw, self._section.result)
        return _picked(raw, self._section.result)


class Path:
    """A URL with names in its path and query. Raises ValueError when a name stands before the path."""

    def __init__(self, template: str) -> None:
        scheme, between, rest = template.partition("://")
        host, slash, path = rest.partition("/")
        if not between or next(templates.names(f"{scheme}{host}"), None):
            raise ValueError("a name stands in scheme or host")
        path, _, fragment_free = path.partition("#")
        del fragment_free
        self._origin = URL(f"{scheme}://{host}", encoded=True)
        self._path, _, self._query = f"{slash or '/'}{path}".partition("?")

    def url(self, arguments: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> URL:
        """Return the address for these arguments, on the host of the template whatever they hold. Raises ToolFailed."""
        for name in templates.names(self._path):
            _refuse_ways(name, arguments)
        path = templates.text(self._path, arguments, _quoted)
        asked = templates.text(self._query, arguments, _quoted)
        more = "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in query)
        asked = "&".join(filter(None, (asked, more)))
        whole = f"{path}{'?' if asked else ''}{asked}"
        return URL(f"{self._origin}{quote(whole, safe=_WRITTEN)}", encoded=True)


def _refuse_ways(name: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a value that would lead to another path than the operator wrote."""
    value = templates.word(arguments.get(name, ""))
    if not value:
        raise ToolFailed(f"argument {name} must not be empty: it is part of the address")
    if any(part in {".", ".."} for part in _UP.split(value)):
        raise ToolFailed(f"argument {name} must not lead up or down a path")


def _quoted(text: str) -> str:
    return quote(text, safe="", errors="replace")


def _query(template: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the query's members; one whose argument was not given is left out, a list gives several."""
    filled = templates.value(_plain(template), arguments) or {}
    pairs: list[tuple[str, str]] = []
    for name, value in filled.items():
        pairs += [(name, templates.word(each)) for each in (value if isinstance(value, list) else [value])]
    return pairs


def _redirected(url: URL, location: str) -> URL:
    """Return where a redirect leads. Raises ToolFailed when that is another host: it would be shown our headers."""
    try:
        there = url.join(URL(location))
    except ValueError:
        raise ToolFailed("the server redirects to what is no address") from None
    upgraded = url.scheme == "http" and there.scheme == "https" and url.port == 80 and there.port == 443
    same = (there.scheme, there.port) == (url.scheme, url.port)
    if there.host != url.host or not (same or upgraded):
        raise ToolFailed(f"the server redirects to another host, {there.host}, which is not followed")
    return there.with_user(None)


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """Return the first LARGEST_ANSWER bytes of an answer, and whether that is all of it."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER:
            return b"".join(pieces)[:LARGEST_ANSWER], False
    return b"".join(pieces), True


def _text(response: aiohttp.ClientResponse, raw: bytes) -> str:
    if b"\0" in raw[:1024]:
        return f"({len(raw)} bytes of {response.content_type}, no text)"
    try:
        return raw.decode(response.charset or "utf-8", errors="replace")
    except LookupError:
        return raw.decode("utf-8", errors="replace")


def _picked(raw: bytes, path: str) -> str:
    """Return what lies at a dotted path of a JSON answer; numbers are places in lists. Raises ToolFailed."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        raise ToolFailed("the server's answer is no JSON") from None
    for step in path.split("."):
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.lstrip("-").isdecimal() and -len(found) <= int(step) < len(found):
            found = found[int(step)]
        else:
            raise ToolFailed(f"the server's answer holds nothing at {path}")
    return templates.word(found)


def _plain(template: Any) -> Any:
    """Return a template with the texts of its secrets."""
    if isinstance(template, Secret):
        return template.reveal()
    if isinstance(template, Mapping):
        return {name: _plain(each) for name, each in template.items()}
    if isinstance(template, list | tuple):
        return [_plain(each) for each in template]
    return template


def revealed(value: str | Secret) -> str:
    """Return a text, a secret's too."""
    return value.reveal() if isinstance(value, Secret) else value
