"""What the model is asked: the system prompt, what is remembered, the question."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from config.vocabulary import Role
from workers.llm.base import CompletionRequest, Message

if TYPE_CHECKING:
    from config.schema import BotConfig


def build(config: BotConfig, remembered: Sequence[Message], question: str) -> CompletionRequest:
    """Return the request for one answer."""
    system = config.prompts.system
    first = (Message(Role.SYSTEM, system),) if system.strip() else ()
    llm = config.llm
    return CompletionRequest(
        llm.model, (*first, *remembered, Message(Role.USER, question)), llm.temperature, llm.max_output_tokens,
        llm.timeout_s, llm.options,
    )  # fmt: skip
