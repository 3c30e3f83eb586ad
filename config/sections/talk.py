"""`[prompts]`, `[memory]`, `[reply]`, `[[commands]]`, `[groups]`: how a bot talks."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from config.sections.base import Listed, Section, key
from config.vocabulary import Effect

RESPOND = ("mention", "reply", "all")
_EVERY = re.compile(r"every:([1-9]\d{0,5})", re.ASCII)


def respond_rule(text: str) -> str:
    """Return text when it says when to answer in a group. Raises ValueError otherwise."""
    every = _EVERY.fullmatch(text)
    if text not in RESPOND and not (every and int(every[1]) >= 2):
        raise ValueError("mention, reply, all or every:N")
    return text


def respond_advice(text: str) -> str:
    """Return what to write in place of a rule that is none; "" when nobody can tell."""
    text = text.strip().lower()
    if re.fullmatch(r"every:?\s*0*1?|always|everything|any", text):
        return 'to answer every message, write "all"'
    if "every" in text:
        return 'every tenth message is "every:10"'
    near = get_close_matches(text, RESPOND, n=1)
    return f'did you mean "{near[0]}"?' if near else ""


class PromptsSection(Section):
    """`[prompts]`: what the model is told."""

    system: str = key(
        "The system prompt; {bot}, {user}, {date} and {profile} stand for what they name.",
        Effect.NEXT_TURN,
        default="You are a helpful assistant.",
    )


class MemorySection(Section):
    """`[memory]`: what of the conversation the model sees."""

    type: Literal["none", "buffer", "summary"] = key(
        "none, buffer (the last messages), or summary (what is older, condensed by the model, is kept too).",
        Effect.NEXT_TURN,
        default="buffer",
    )
    max_messages: int = key("Messages of the buffer.", Effect.NEXT_TURN, "messages", default=20, ge=0, le=1000)
    max_tokens: int | None = key(
        "Tokens of the buffer, estimated; unset = messages alone count.",
        Effect.NEXT_TURN,
        "tokens",
        default=None,
        ge=1,
        example="4000",
    )
    summary_chars: int = key("Longest summary.", Effect.NEXT_TURN, "characters", default=2000, ge=200, le=20_000)
    profile: bool = key(
        "Whether the model may note facts about a person, by a tool, and is told them again.",
        Effect.NEXT_TURN,
        default=False,
    )


class ReplySection(Section):
    """`[reply]`: what people read."""

    error_text: str = key(
        "Sent when no answer could be had.",
        Effect.NEXT_TURN,
        default="Sorry, I cannot answer right now. Please try again in a minute.",
        min_length=1,
    )
    format: Literal["markdown", "plain"] = key(
        "markdown: what the model marks up is shown so; plain: shown as it is written.",
        Effect.NEXT_TURN,
        default="markdown",
    )
    stream: Literal["off", "edit", "draft", "auto"] = key(
        "Show an answer while it is written: by edits, as a draft (private chats only), or whatever fits.",
        Effect.NEXT_TURN,
        default="off",
    )
    rich: Literal["off", "auto"] = key(
        "auto: the server's own Markdown is used where it has one.", Effect.NEXT_TURN, default="off"
    )
    max_parts: int = key(
        "Messages one answer may take; a longer one is sent as a file.",
        Effect.NEXT_TURN,
        "messages",
        default=5,
        ge=1,
        le=100,
    )
    edited: Literal["ignore", "answer"] = key(
        "What is done about a message that was edited.", Effect.NEXT_TURN, default="ignore"
    )
    suggestions: bool = key(
        "Whether the model may offer up to 4 next questions as buttons.", Effect.NEXT_TURN, default=False
    )


Line = Annotated[str, Field(min_length=1)]


class CommandSection(Section):
    """`[[commands]]`: commands of the bot's own, a table each."""

    name: str = key(
        "Name, without the slash.",
        Effect.NEXT_TURN,
        default="",
        example='"prices"',
        allowed="1 to 32 letters a-z, digits and _",
    )
    description: str = key(
        "What the menu of commands says; empty = it is not in the menu.",
        Effect.NEXT_TURN,
        default="",
        example='"What it costs"',
        max_length=256,
        allowed="text, at most 256 characters",
    )
    text: str = key(
        "The answer, as it is; this or prompt. {args} stands for what follows the command.",
        Effect.NEXT_TURN,
        default="",
        example='"See https://example.org/prices"',
    )
    prompt: str = key(
        "What the model is asked; this or text. {args} stands for what follows the command.",
        Effect.NEXT_TURN,
        default="",
        example='"Translate into English: {args}"',
    )
    buttons: Listed[Line] = key(
        "Buttons under the answer; pressing one says its text.",
        Effect.NEXT_TURN,
        default=(),
        example='["Opening hours", "Delivery"]',
        allowed="a list of texts, none empty",
    )
    descriptions: dict[str, str] = key(
        "The description in other languages, by two-letter code.",
        Effect.NEXT_TURN,
        default_factory=dict,
        example='{ ru = "Сколько стоит" }',
    )
    replace: bool = key("Whether it is meant to take the place of a built-in command.", Effect.NEXT_TURN, default=False)


class GroupsSection(Section):
    """`[groups]`: when the bot speaks in groups. Commands are always answered."""

    respond: Annotated[str, AfterValidator(respond_rule)] = key(
        "mention (a reply to the bot is one too), reply, all, or every:N messages.",
        Effect.NEXT_TURN,
        default="mention",
        allowed='"mention" or "reply" or "all" or "every:N", N from 2 to 999999',
        example='"every:10"',
    )
