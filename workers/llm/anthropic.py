"""Anthropic's Messages API, and servers that speak it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from config.vocabulary import Role
from workers.llm.base import Block, Completion, CompletionRequest, Image, Message, ToolCall, ToolSpec
from workers.llm.endpoint import Endpoint
from workers.llm.messages import Gathering, read_whole
from workers.llm.pictures import PLACE

VERSION: Final = "2023-06-01"
MAX_TOKENS: Final = 4096
"""The API wants a limit for each answer; this is what every model of theirs can write."""

_KEPT: Final = {"cache_control": {"type": "ephemeral"}}
"""Marks the end of what the server may keep for the next request: tools and system prompt are the same each time."""

_OURS: Final = ("stream", "system")


class AnthropicProvider(Endpoint):
    """Messages. `[llm.options]` go into the request as they are, but for the messages, the model and the form."""

    name = "anthropic"
    path = "/messages"

    def _own_headers(self, key: str) -> dict[str, str]:
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    def _written(self, request: CompletionRequest, *, stream: bool) -> dict[str, Any]:
        body: dict[str, Any] = dict(request.options)
        for name in _OURS:
            body.pop(name, None)
        if _thinks(body) and any(message.tool_calls and not message.verbatim for message in request.messages):
            del body["thinking"]  # another model began this turn: without its thoughts, which the API wants, it goes on
        if request.temperature is not None:
            body.setdefault("temperature", request.temperature)
        body.setdefault("max_tokens", request.max_output_tokens or MAX_TOKENS)
        body["model"] = request.model
        system = [_text(m.content) for m in request.messages if m.role is Role.SYSTEM and m.content.strip()]
        if system:
            system[0] |= _KEPT  # what follows it (a summary, a profile) changes
            body["system"] = system
        body["messages"] = _alternating(request.messages)
        body |= _tools(request)
        if stream:
            body["stream"] = True
        return body

    def _read(self, raw: bytes, model: str) -> Completion:
        return read_whole(raw, model, self._refusals)

    def _gathering(self, model: str) -> Gathering:
        return Gathering(model, self._refusals)


def _thinks(body: dict[str, Any]) -> bool:
    """Tell whether calls must go back with the thoughts before them."""
    thinking = body.get("thinking")
    return isinstance(thinking, dict) and thinking.get("type") == "enabled"


def _tools(request: CompletionRequest) -> dict[str, Any]:
    """Return the tools on offer. A talk in which some were called must name them, even when none is to be called now."""
    if request.tools:
        offered = [_tool(tool) for tool in request.tools]
        offered[-1] |= _KEPT
        return {"tools": offered}
    names = dict.fromkeys(call.name for message in request.messages for call in message.tool_calls)
    if not names:
        return {}
    return {"tools": [_tool(ToolSpec(name, "", {"type": "object"})) for name in names], "tool_choice": {"type": "none"}}


def _tool(tool: ToolSpec) -> dict[str, Any]:
    described = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **described, "input_schema": tool.parameters}


def _alternating(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the messages in turns of user and assistant: what one side says in a row is one message."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role is Role.SYSTEM:
            continue
        role = "assistant" if message.role is Role.ASSISTANT else "user"
        blocks = list(_blocks(message))
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> Iterator[dict[str, Any]]:
    """Yield what a message is made of; the API takes no text that is blank."""
    if message.role is Role.TOOL:
        yield {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.content}
        return
    for image in message.images:
        yield _picture(image)
    for block in message.verbatim or (message.content, *message.tool_calls):
        yield from _written_as(block)


def _written_as(block: Block) -> Iterator[dict[str, Any]]:
    if isinstance(block, dict):
        yield block
    elif isinstance(block, ToolCall):
        yield {"type": "tool_use", "id": block.id, "name": block.name, "input": _input(block)}
    elif block.strip():
        yield _text(block)


def _text(content: str) -> dict[str, Any]:
    return {"type": "text", "text": content}


def _picture(image: Image) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": PLACE}}


def _input(call: ToolCall) -> dict[str, Any]:
    """Return the arguments as the object the API wants; what a model garbled is as if it had said nothing."""
    try:
        value = json.loads(call.arguments)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
