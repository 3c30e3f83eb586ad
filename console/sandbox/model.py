"""A model behind an OpenAI-compatible API, without a model: it echoes, or says what a test has scripted."""

from __future__ import annotations

import itertools
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from console.sandbox.answers import Refused, Reply, dump
from console.sandbox.completions import Answer, Counted, cut_whole, refused_completion, stream
from console.sandbox.faults import MODEL_KINDS, Fault, Faults
from console.sandbox.pulse import Pulse
from console.sandbox.strike import strike
from workers.clock import Clock

KEEP_CALLS: Final = 10_000
MODELS: Final = ("sandbox-small", "sandbox-large")
STREAM_KINDS: Final = frozenset({"cut", "malformed_chunk", "error_chunk", "hold_between"})


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One request for an answer as it arrived."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool
    body: dict[str, Any]
    authorization: str

    @property
    def question(self) -> str:
        """The last thing a person said."""
        return next((_words(message) for message in reversed(self.messages) if message.get("role") == "user"), "")


class Model:
    """The double at `Sandbox.model_url`; requests are "chat" and "models" to its faults.

    Answers come from `script` first, then from `answer`, which echoes unless set. api_key None takes any key.
    delay_s passes before an answer, piece_delay_s between the words of a stream; usage None counts words.
    The kinds cut, malformed_chunk, error_chunk and hold_between act after `after_pieces` words (default: half).
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.faults = Faults(MODEL_KINDS)
        self.answer: Callable[[ModelCall], str] = lambda call: call.question
        self.api_key: str | None = None
        self.delay_s = 0.0
        self.piece_delay_s = 0.0
        self.usage: Counted | None = None
        self.finish_reason = "stop"
        self.calls: list[ModelCall] = []
        self.call_count = 0
        self.answered = 0
        self.news = Pulse()
        self._script: deque[str] = deque()
        self._numbers = itertools.count(1)

    def script(self, *answers: str) -> None:
        """Queue answers for the next calls."""
        self._script.extend(answers)

    async def called(self, count: int = 1) -> None:
        """Wait until count requests for an answer have arrived in all."""
        await self.news.until(lambda: self.call_count >= count)

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one request under /v1/."""
        try:
            self._check_key(request)
            if path == "/v1/models" and request.method == "GET":
                return await self._models(request)
            if path == "/v1/chat/completions" and request.method == "POST":
                return await self._chat(request, _read_call(request, await request.read()))
            raise Refused(404, f"Unknown request URL: {request.method} {path}")
        except Refused as refusal:
            return _respond(refused_completion(refusal))

    def _check_key(self, request: web.BaseRequest) -> None:
        if self.api_key is not None and request.headers.get("Authorization") != f"Bearer {self.api_key}":
            raise Refused(401, "Incorrect API key provided.")

    async def _models(self, request: web.BaseRequest) -> web.StreamResponse:
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "sandbox"} for name in MODELS]

        async def work() -> Reply:
            return Reply(200, dump({"object": "list", "data": listed}).encode())

        fault = self.faults.take("models")
        if fault is None:
            return _respond(await work())
        return _respond(await strike(fault, request, "models", work, self.clock, refused_completion))

    async def _chat(self, request: web.BaseRequest, call: ModelCall) -> web.StreamResponse:
        self._note(call)
        fault = self.faults.take("chat")
        if fault is None or fault.kind in STREAM_KINDS:
            return await self._deliver(request, await self._think(call), fault)
        outcome = await strike(fault, request, "chat", lambda: self._think(call), self.clock, refused_completion)
        if isinstance(outcome, Answer):
            return await self._deliver(request, outcome, None)
        return _respond(outcome)

    def _note(self, call: ModelCall) -> None:
        self.call_count += 1
        self.calls.append(call)
        if len(self.calls) > KEEP_CALLS:
            del self.calls[: KEEP_CALLS // 4]
        self.news.beat()

    async def _think(self, call: ModelCall) -> Answer:
        if self.delay_s:
            await self.clock.sleep(self.delay_s)
        text = self._script.popleft() if self._script else self.answer(call)
        told = sum(len(_words(message).split()) for message in call.messages)
        self.answered += 1
        return Answer(
            number=next(self._numbers),
            model=call.model,
            text=text,
            finish_reason=self.finish_reason,
            usage=self.usage or Counted(told, len(text.split())),
            created=int(self.clock.now()),
            stream=call.stream,
            tell_usage=bool((call.body.get("stream_options") or {}).get("include_usage")),
        )

    async def _deliver(self, request: web.BaseRequest, answer: Answer, fault: Fault | None) -> web.StreamResponse:
        if answer.stream:
            return await stream(request, answer, fault, self.clock, self.piece_delay_s)
        if fault is not None and fault.kind == "cut":
            cut_whole(request, answer, fault)
            return _respond(None)
        if fault is not None and fault.kind == "malformed_chunk":
            fault.hit("chat")
            return _respond(Reply(200, dump(answer.whole()).encode()[:-20]))
        return _respond(Reply(200, dump(answer.whole()).encode()))


def _respond(reply: Reply | None) -> web.StreamResponse:
    if reply is None:
        return web.Response(status=500)
    headers = {"Retry-After": str(reply.retry_after)} if reply.retry_after else None
    return web.Response(status=reply.status, body=reply.body, content_type=reply.content_type, headers=headers)


def _read_call(request: web.BaseRequest, raw: bytes) -> ModelCall:
    """Understand a request for an answer. Raises Refused with the reason a real server gives."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise Refused(400, "We could not parse the JSON body of your request.") from None
    messages = body.get("messages") if isinstance(body, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise Refused(400, "Missing required parameter: 'messages'.")
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused(400, "you must provide a model parameter")
    authorization = request.headers.get("Authorization", "")
    return ModelCall(body["model"], messages, bool(body.get("stream")), body, authorization)


def _words(message: dict[str, Any]) -> str:
    """Return a message's text, whether it is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")
