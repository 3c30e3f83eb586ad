"""Any server that speaks OpenAI's chat completions: OpenAI, OpenRouter, Ollama, vLLM, llama.cpp and many more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from config.vocabulary import Role
from workers.llm.base import Completion, CompletionRequest, Image, Message
from workers.llm.completions import Gathering, read_whole
from workers.llm.endpoint import Endpoint
from workers.llm.pictures import PLACE

if TYPE_CHECKING:
    from config.schema import LlmSection
    from workers.clock import Clock
    from workers.http import Http

_LIMITS: Final = frozenset({"max_tokens", "max_completion_tokens"})


class OpenAIProvider(Endpoint):
    """Chat completions.

    `[llm.options]` go into the request as they are; they cannot replace the messages, the model or the form of the
    answer. max_tokens or max_completion_tokens there replaces max_output_tokens; stream_options = false leaves those
    out for a server that does not know them.
    """

    name = "openai"
    path = "/chat/completions"

    def __init__(self, config: LlmSection, http: Http, clock: Clock) -> None:
        super().__init__(config, http, clock)
        # OpenAI's own newer models refuse max_tokens, most other servers know nothing else.
        self._limit_name = "max_completion_tokens" if self._url.host == "api.openai.com" else "max_tokens"

    def _own_headers(self, key: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _written(self, request: CompletionRequest, *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = dict(request.options)
        if request.temperature is not None:
            body.setdefault("temperature", request.temperature)
        if request.max_output_tokens is not None and not _LIMITS & body.keys():
            body[self._limit_name] = request.max_output_tokens
        if _thinks(body) and any(message.tool_calls and not message.verbatim for message in request.messages):
            body["thinking"] = {
                "type": "disabled"
            }  # another model began this turn: its calls lack what would be wanted
        body["model"] = request.model
        body["messages"] = [_message(m) for m in request.messages]
        if request.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {"name": t.name, "description": t.description, "parameters": t.parameters},
                }
                for t in request.tools
            ]
        told = body.pop("stream_options", {"include_usage": True})
        body.pop("stream", None)
        if stream:
            body |= {"stream": True, "stream_options": told} if told else {"stream": True}
        return body

    def _read(self, raw: bytes, model: str) -> Completion:
        return read_whole(raw, model, self._refusals)

    def _gathering(self, model: str) -> Gathering:
        return Gathering(model, self._refusals)


def _thinks(body: dict[str, Any]) -> bool:
    """Tell whether calls must go back with the thoughts before them, as DeepSeek wants it."""
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") == "enabled"


def _message(message: Message) -> dict[str, Any]:
    if message.role is Role.TOOL:
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.content}
    if message.images:
        words = [{"type": "text", "text": message.content}] if message.content else []
        return {"role": message.role, "content": [*words, *map(_picture, message.images)]}
    if message.tool_calls:
        calls = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
        thoughts = next((block for block in message.verbatim if isinstance(block, dict)), {})
        return {**thoughts, "role": message.role, "content": message.content or None, "tool_calls": calls}
    return {"role": message.role, "content": message.content}


def _picture(image: Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": f"data:{image.media_type};base64,{PLACE}"}}
