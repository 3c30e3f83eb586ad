"""A model behind OpenAI's and Anthropic's APIs, without a model: it echoes, or says what a test has scripted."""

from __future__ import annotations

import base64
import itertools
import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from console.sandbox import delivery
from console.sandbox.answers import Refused, Reply, dump
from console.sandbox.completions import Answer, ChatWire, Counted, Said, Wire, asked_to_think
from console.sandbox.faults import MID_ANSWER_KINDS, MODEL_KINDS, Fault, Faults
from console.sandbox.hearing import PATH, Hearing
from console.sandbox.messages import MessagesWire
from console.sandbox.pulse import Pulse
from console.sandbox.strike import strike
from workers.clock import Clock

KEEP_CALLS: Final = 10_000
MODELS: Final = ("sandbox-small", "sandbox-large")
WIRES: Final[dict[str, Wire]] = {"/v1/chat/completions": ChatWire(), "/v1/messages": MessagesWire()}
"""Path → the form of what is asked and answered there."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One request for an answer as it arrived. authorization is the header's value, api_key the key by itself."""

    model: str
    messages: list[dict[str, Any]]
    stream: bool
    body: dict[str, Any]
    authorization: str
    api_key: str = ""

    @property
    def question(self) -> str:
        """The last thing a person said."""
        return next((_words(m) for m in reversed(self.messages) if m.get("role") == "user" and _is_said(m)), "")

    @property
    def images(self) -> list[tuple[str, bytes]]:
        """The pictures that came along, (type, bytes) of each."""
        parts = [part for m in self.messages if isinstance(m.get("content"), list) for part in m["content"]]
        return [picture for part in parts if (picture := _picture(part)) is not None]

    def told(self) -> int:
        """Return how many words the model was told."""
        system = {"content": self.body.get("system")}
        return sum(len(_words(message).split()) for message in (system, *self.messages))


class Model:
    """The double at `Sandbox.model_url`; requests are "chat" (of either API), "models" and
    "transcriptions" to its faults.

    Answers come from `script` first, then from `answer`, which echoes unless set (and may call tools, by `Said`). api_key None takes any key.
    delay_s passes before an answer, piece_delay_s between the words of a stream; usage None counts words.
    The kinds that act in the middle of a stream do so after `after_pieces` words (default: half).
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.faults = Faults(MODEL_KINDS)
        self.hearing = Hearing(clock, self.faults)
        self.answer: Callable[[ModelCall], str | Said] = lambda call: call.question
        self.api_key: str | None = None
        self.delay_s = 0.0
        self.piece_delay_s = 0.0
        self.usage: Counted | None = None
        self.finish_reason = "stop"
        self.calls: list[ModelCall] = []
        self.call_count = 0
        self.answered = 0
        self.news = Pulse()
        self._script: deque[Said] = deque()
        self._numbers = itertools.count(1)

    def script(self, *answers: str) -> None:
        """Queue answers for the next calls."""
        self._script.extend(map(Said, answers))

    def script_calls(self, *calls: tuple[str, str], text: str = "") -> None:
        """Queue an answer that calls tools: (name, arguments as JSON text) of each."""
        self._script.append(Said(text, calls))

    async def called(self, count: int = 1) -> None:
        """Wait until count requests for an answer have arrived in all."""
        await self.news.until(lambda: self.call_count >= count)

    async def handle(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        """Answer one request under /v1/."""
        wire = WIRES.get(path, WIRES["/v1/chat/completions"])
        try:
            self._check_key(request, wire)
            if path == "/v1/models" and request.method == "GET":
                return await self._models(request, wire)
            if path == PATH and request.method == "POST":
                return _respond(await self.hearing.answer(request, wire.refused))
            if path in WIRES and request.method == "POST":
                return await self._chat(request, wire, _read_call(request, wire, await request.read()))
            raise Refused(404, f"Unknown request URL: {request.method} {path}")
        except Refused as refusal:
            return _respond(wire.refused(refusal))

    def _check_key(self, request: web.BaseRequest, wire: Wire) -> None:
        if self.api_key is not None and wire.key(request) != self.api_key:
            raise Refused(401, "Incorrect API key provided.")

    async def _models(self, request: web.BaseRequest, wire: Wire) -> web.StreamResponse:
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "sandbox"} for name in MODELS]

        async def work() -> Reply:
            return Reply(200, dump({"object": "list", "data": listed}).encode())

        fault = self.faults.take("models")
        if fault is None:
            return _respond(await work())
        return _respond(await strike(fault, request, "models", work, self.clock, wire.refused))

    async def _chat(self, request: web.BaseRequest, wire: Wire, call: ModelCall) -> web.StreamResponse:
        self._note(call)
        fault = self.faults.take("chat")
        if fault is None or fault.kind in MID_ANSWER_KINDS:
            return await self._deliver(request, wire, await self._think(call), fault)
        outcome = await strike(fault, request, "chat", lambda: self._think(call), self.clock, wire.refused)
        if isinstance(outcome, Answer):
            return await self._deliver(request, wire, outcome, None)
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
        answer = self._script.popleft() if self._script else self.answer(call)
        said = Said(answer) if isinstance(answer, str) else answer
        self.answered += 1
        return Answer(
            number=next(self._numbers),
            model=call.model,
            text=said.text,
            finish_reason=self.finish_reason,
            usage=self.usage or Counted(call.told(), len(said.text.split())),
            created=int(self.clock.now()),
            stream=call.stream,
            tell_usage=bool((call.body.get("stream_options") or {}).get("include_usage")),
            calls=said.calls,
            thinks=asked_to_think(call.body),
            reasons=bool(call.body.get("reasoning")),
        )

    async def _deliver(
        self, request: web.BaseRequest, wire: Wire, answer: Answer, fault: Fault | None
    ) -> web.StreamResponse:
        if answer.stream:
            return await delivery.stream(request, wire, answer, fault, self.clock, self.piece_delay_s)
        return await delivery.whole(request, wire, answer, fault)


def _respond(reply: Reply | None) -> web.StreamResponse:
    if reply is None:
        return web.Response(status=500)
    headers = {"Retry-After": str(reply.retry_after)} if reply.retry_after else None
    return web.Response(status=reply.status, body=reply.body, content_type=reply.content_type, headers=headers)


def _read_call(request: web.BaseRequest, wire: Wire, raw: bytes) -> ModelCall:
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
    wire.check(request, body)
    authorization = request.headers.get("Authorization", "")
    return ModelCall(body["model"], messages, bool(body.get("stream")), body, authorization, wire.key(request))


def _picture(part: Any) -> tuple[str, bytes] | None:
    """Return the picture in one part of a message, in either API's form; None for any other part."""
    if not isinstance(part, dict):
        return None
    if part.get("type") == "image_url":
        head, _, data = str(part["image_url"]["url"]).partition(",")
        return head.removeprefix("data:").removesuffix(";base64"), base64.b64decode(data)
    if part.get("type") == "image":
        return part["source"]["media_type"], base64.b64decode(part["source"]["data"])
    return None


def _is_said(message: dict[str, Any]) -> bool:
    """Tell whether a user's message holds something a person said, not the results of tools alone."""
    content = message.get("content")
    return not isinstance(content, list) or any("text" in part for part in content if isinstance(part, dict))


def _words(message: dict[str, Any]) -> str:
    """Return a message's text, whether it is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return str(content or "")
