"""What every provider promises. Implementations: `openai`, `anthropic`, `echo`; `workers/llm/__init__.py` registers them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from config.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Image:
    """A picture a message carries."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as a model is told of it; parameters is the JSON Schema of its arguments."""

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """What a model asks for. arguments is JSON text as the model wrote it, which need not be valid."""

    id: str
    name: str
    arguments: str


Block = str | ToolCall | dict[str, Any]
"""What an answer is made of: its words, a call, or thoughts in the form of whoever thought them."""


class Message(NamedTuple):
    """One message as a model sees it. tool_calls belong to an answer, tool_call_id to the result of one.

    verbatim is an answer with its thoughts, in order, for the link of the chain that gave it: nobody else can read them.
    A turn makes twenty: a frozen dataclass of five fields would cost three times as much.
    """

    role: Role
    content: str
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    verbatim: tuple[Block, ...] = ()
    link: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call as the provider counts them; 0 = not told."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """What is asked of a model. timeout_s bounds the whole call."""

    model: str
    messages: tuple[Message, ...]
    temperature: float | None = None
    max_output_tokens: int | None = None
    timeout_s: float = 60.0
    options: dict[str, Any] = field(default_factory=dict)
    tools: tuple[ToolSpec, ...] = ()
    first_token_timeout_s: float | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer. finish_reason is the provider's word ("stop", "length", …).

    verbatim is what one with calls is made of, where the provider wants it back unmodified with the results.
    """

    text: str
    usage: Usage
    model: str
    finish_reason: str = "stop"
    tool_calls: tuple[ToolCall, ...] = ()
    verbatim: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a streamed answer; the last one carries `completion` (the whole text, usage) and no text."""

    text: str = ""
    completion: Completion | None = None


class Provider(Protocol):
    """A model behind an API. Raises only ProviderErrors; cancelling is safe and closes the connection.

    A provider does not retry: who asks decides. It is shared by all bots with the same endpoint and key.
    """

    async def complete(self, request: CompletionRequest) -> Completion:
        """Ask for a whole answer. Raises ProviderUnavailable, ProviderTimeout, ProviderRefused."""
        ...

    def stream(self, request: CompletionRequest) -> AsyncGenerator[Chunk, None]:
        """Ask for an answer piece by piece; raises like `complete`, also in the middle of the answer."""
        ...
