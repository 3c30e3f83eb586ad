"""What is asked of a bot, wherever it comes from: a channel, the console, the API, a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from workers.llm.base import Message


@dataclass(slots=True)
class Question:
    """One message to be answered, and whose it is.

    client_id and conversation_id say which conversation of the bot it belongs to; nothing of another one is read for it.
    user_id is "" when it is not known who speaks, user_name is what the model may call them. update_id is the update it
    came with, if it came with one. read_chars is how much of text was read out of files, and is let through beyond the
    limit of what people write. session_metadata and request_metadata are what a program says of it, for the fleet's own tools.
    history is what was said before, when whoever asks brings it: nothing is remembered then, neither read nor stored.
    """

    text: str
    client_id: str
    conversation_id: str
    user_id: str = ""
    user_name: str = ""
    update_id: int | None = None
    read_chars: int = 0
    session_metadata: Mapping[str, Any] = field(default_factory=dict)
    request_metadata: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[Message, ...] | None = None
