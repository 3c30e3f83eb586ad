"""How a bot's conversations are set up, in the few words an overview has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.schema import BotConfig
    from config.sections.llm import LlmSection
    from console.answers import Setup


def setup(config: BotConfig) -> Setup:
    """Return what answers a bot's messages and how; holds no secret."""
    first, *others = config.llm.chain()
    return {
        "model": _model(first),
        "fallbacks": [_model(other) for other in others],
        "memory": config.memory.type,
        "profile": config.memory.profile,
        "tools": [tool.name for tool in config.tools],
        "stream": config.reply.stream,
        "access": config.access.mode,
    }


def _model(section: LlmSection) -> str:
    return f"{section.provider} {section.model}".rstrip()
