"""What every provider promises. Implementations: `openai`, `echo`; `workers/llm/__init__.py` registers them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from config.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a model sees it."""

    role: Role
    content: str


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


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer. finish_reason is the provider's word ("stop", "length", …)."""

    text: str
    usage: Usage
    model: str
    finish_reason: str = "stop"


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

    def stream(self, request: CompletionRequest) -> AsyncIterator[Chunk]:
        """Ask for an answer piece by piece; raises like `complete`, also in the middle of the answer."""
        ...
