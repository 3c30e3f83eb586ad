"""python-telegram-bot's requests over the fleet's one aiohttp session, and the hot calls beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from telegram.error import NetworkError, TelegramError
from telegram.request import BaseRequest, RequestData
from yarl import URL

from workers.channels.faults import Refused, TooLarge, TooLate, Unsent, check_answer, result_of
from workers.channels.outgoing import wire
from workers.encoding import encoded
from workers.http import BROKEN, CONNECT_TIMEOUT_S, LARGE_BYTES, NEVER_LEFT, Http, reason_of

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""More than a batch of 100 updates is, each of the longest text there is in JSON escapes, and the message it replies to.
A larger one is not read: the next poll asks for a single update."""

HEAD_BYTES: Final = 1024
"""Of an answer that is too large: it begins with the id of its first update."""

HOT_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S)
"""Hot calls are bounded as a whole by their caller's clock; here only what can be told to have never left."""

_JSON_HEADERS: Final = {"Content-Type": "application/json"}
_DEFAULT_S: Final = 20.0
_UPLOAD_S: Final = 300.0


class AiohttpRequest(BaseRequest):
    """Requests to the Bot API over Http. Holds nothing of its own: starting and stopping it does nothing.

    Errors are telegram.error's: Unsent and Garbage (both NetworkError), TooLate (TimedOut), Refused, and NetworkError
    itself when a request left and its answer never came. None of them holds, or is chained to anything that holds, the
    URL: the token is part of it.
    """

    __slots__ = ("_http",)

    def __init__(self, http: Http) -> None:
        self._http = http

    @property
    def read_timeout(self) -> float | None:
        """Seconds a Bot method waits for its answer unless it says otherwise."""
        return _DEFAULT_S

    async def initialize(self) -> None:
        """Nothing: the session is made at its first use."""

    async def shutdown(self) -> None:
        """Nothing: the session belongs to the fleet."""

    async def call(self, url: URL, body: bytes) -> Any:
        """Post a JSON body, return `result` of the answer. Bounded by the caller; cancelling closes the connection."""
        status, payload = await self._exchange("POST", url, body, _JSON_HEADERS, HOT_TIMEOUT)
        if len(payload) <= LARGE_BYTES:
            return result_of(status, payload)
        async with self._http.large:
            return result_of(status, payload)

    async def fetch(self, url: URL, limit_bytes: int) -> tuple[int, bytes]:
        """Return status and body of a file. Raises Refused for one that is larger. Bounded by the caller."""
        failure: TelegramError
        try:
            answer = await self._http.request("GET", url, timeout=HOT_TIMEOUT)
            try:
                pieces, size = [], 0
                async for piece in answer.content.iter_any():
                    pieces.append(piece)
                    size += len(piece)
                    if size > limit_bytes:
                        break
                else:
                    return answer.status, b"".join(pieces)
                failure = Refused(413, f"the file has more than {limit_bytes} bytes")
            finally:
                answer.release()
        except BROKEN as error:
            failure = _failure_of(error)
        raise failure

    async def deliver(self, url: URL, params: Mapping[str, Any]) -> Any:
        """Post parameters as `call` does, those that begin with _ left out, but the file in `_file` uploaded with them."""
        file = params.get("_file")
        if not isinstance(file, dict):
            return await self.call(url, json_body(wire(params)))
        status, payload = await self._exchange("POST", url, _upload(wire(params), file), None, HOT_TIMEOUT)
        return result_of(status, payload)

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,
    ) -> tuple[int, bytes]:
        """Do one request for a Bot; time-outs are seconds, None = none.

        Refusals are raised here already, as Refused: the caller's own mapping drops the code, warns at each 429 and
        puts the body, which may echo the URL, into the text. aiohttp has no time-out per write, so write_timeout
        bounds, together with the others, the whole of a request with a body; the pool has no limit to wait at.
        """
        files = request_data is not None and request_data.contains_files
        read_s, connect_s = _seconds(read_timeout, _DEFAULT_S), _seconds(connect_timeout, CONNECT_TIMEOUT_S)
        write_s = _seconds(write_timeout, _UPLOAD_S if files else _DEFAULT_S)
        times = (read_s, write_s, connect_s)
        bounds = aiohttp.ClientTimeout(
            total=sum(filter(None, times)) if request_data is not None and None not in times else None,
            connect=connect_s,
            sock_read=read_s,
        )
        data, headers = _form(request_data) if request_data is not None else (None, None)
        status, payload = await self._exchange(method, URL(url, encoded=True), data, headers, bounds)
        check_answer(status, payload)
        return status, payload

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Parse a success. Raises Garbage, and unlike the inherited one does not write the payload into the log."""
        return {"result": result_of(200, payload)}

    async def _exchange(
        self,
        method: str,
        url: URL,
        data: bytes | aiohttp.FormData | None,
        headers: dict[str, str] | None,
        bounds: aiohttp.ClientTimeout,
    ) -> tuple[int, bytes]:
        # The error is raised outside the handler: aiohttp's holds the URL, and would else be its context.
        try:
            answer = await self._http.request(method, url, data=data, headers=headers, timeout=bounds)
            return answer.status, await _body_of(answer)
        except BROKEN as error:
            failure = _failure_of(error)
        raise failure


async def _body_of(answer: aiohttp.ClientResponse) -> bytes:
    length = answer.content_length
    if length is not None and length <= MAX_ANSWER_BYTES and "Content-Encoding" not in answer.headers:
        return await answer.read()
    most = MAX_ANSWER_BYTES if length is None or length <= MAX_ANSWER_BYTES else HEAD_BYTES
    parts, size = [], 0
    try:
        async for part in answer.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > most:
                head = b"".join(parts)[:HEAD_BYTES]
                parts.clear()  # the error knows this frame: what lies here would stay as long as it
                raise TooLarge(answer.status, head)
    finally:
        answer.release()  # closes the connection when not everything was read
    return b"".join(parts)


def _seconds(given: Any, default_s: float) -> float | None:
    return default_s if given is BaseRequest.DEFAULT_NONE else given


def _form(request_data: RequestData) -> tuple[bytes | aiohttp.FormData, dict[str, str] | None]:
    if not request_data.contains_files:
        return json_body(request_data.parameters), _JSON_HEADERS
    form = aiohttp.FormData()
    for name, value in request_data.json_parameters.items():
        form.add_field(name, value)
    for name, (filename, content, content_type) in request_data.multipart_data.items():
        form.add_field(name, content, filename=filename, content_type=content_type)
    return form, None


def _upload(params: Mapping[str, Any], file: Mapping[str, Any]) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in params.items():
        form.add_field(name, value if isinstance(value, str) else encoded(value).decode())
    data = str(file.get("text", "")).encode("utf-8", "replace")
    form.add_field(str(file.get("field")), data, filename=str(file.get("name")), content_type="text/markdown")
    return form


def json_body(parameters: Mapping[str, Any]) -> bytes:
    """Return parameters as the bytes of a JSON object; a lone surrogate somewhere in them becomes "?"."""
    return encoded(parameters)


def _failure_of(error: Exception) -> NetworkError:
    if isinstance(error, NEVER_LEFT):
        return Unsent(reason_of(error))
    if isinstance(error, TimeoutError):
        return TooLate("no answer in time")
    return NetworkError(reason_of(error))
