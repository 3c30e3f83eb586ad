"""Answers as they go over the wire, and what becomes of a part the server refuses.

Parameters whose name begins with _ stay here: `_plain` is the text that stands in for refused formatting, `_file` what a
document holds. They are JSON like all others, so that a part of the outbox is whole after a restart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from config.schema import ReplySection
from workers.channels.base import EDIT, Lane, Outgoing
from workers.channels.frames import gone, unedited
from workers.channels.incoming import clean, is_id
from workers.channels.markup import Part, render
from workers.channels.split import split

Buttons = Sequence[tuple[str, str]]
"""(label, data) of buttons below an answer, one a row."""

MAX_CAPTION: Final = 1024
MAX_RICH: Final = 32_768
"""Characters of Markdown the server takes."""

MAX_DATA_BYTES: Final = 64
FILE_NAME: Final = "answer.md"
RICH_METHOD: Final = "sendRichMessage"

_MARKUP: Final = frozenset({"parse_mode", "entities", "caption_entities"})
_OF_MARKUP: Final = re.compile(r"can't parse|entit|\burl\b", re.IGNORECASE)
_OF_BUTTONS: Final = re.compile(r"button|keyboard|reply markup", re.IGNORECASE)
_OF_RIGHTS: Final = re.compile(r"rights to send|_FORBIDDEN", re.IGNORECASE)
_CHAT: Final = re.compile(r"\bchat\b.*not found|thread not found|\bkicked\b|deactivated", re.IGNORECASE)


def plain_parts(lane: Lane, text: str) -> list[Outgoing]:
    """Return text as sendMessage calls into the lane, without markup; at least one."""
    topic = {"message_thread_id": lane.topic_id} if lane.topic_id else {}
    return [
        Outgoing(lane.chat_id, "sendMessage", {"chat_id": lane.chat_id, "text": part, **topic}) for part in split(text)
    ]


def answer_parts(
    lane: Lane, text: str, reply: ReplySection | None, buttons: Buttons = (), *, rich: bool | None = False
) -> list[Outgoing]:
    """Return an answer as `[reply]` wants it; without reply, or with format plain, as plain_parts does.

    Of more than max_parts parts one document is made. rich: whether the server understands Markdown; None = not known,
    it is asked with an answer that is a single part either way. Buttons hang on the last part; those without a label, or
    whose data the server would not take, are left out.
    """
    if reply is None or reply.format == "plain":
        parts = plain_parts(lane, text)
    else:
        parts = _formatted(lane, text, reply.max_parts, rich=rich if reply.rich == "auto" else False)
    return _with_buttons(parts, buttons) if buttons else parts


def _formatted(lane: Lane, text: str, most: int, *, rich: bool | None) -> list[Outgoing]:
    parts = render(text)
    marked = rich is not False and len(text) <= MAX_RICH and any(part.entities for part in parts)
    if marked and (rich or len(parts) == 1):
        return [_rich(lane, clean(text))]
    if len(parts) > most:
        return [_document(lane, text, parts[0])]
    return [_message(lane, part) for part in parts]


def _into(lane: Lane) -> dict[str, Any]:
    topic = {"message_thread_id": lane.topic_id} if lane.topic_id else {}
    return {"chat_id": lane.chat_id, **topic}


def _message(lane: Lane, part: Part) -> Outgoing:
    params = {**_into(lane), "text": part.text}
    if part.entities:
        params["entities"] = list(part.entities)
        if part.plain:
            params["_plain"] = part.plain
    return Outgoing(lane.chat_id, "sendMessage", params)


def _rich(lane: Lane, text: str) -> Outgoing:
    return Outgoing(lane.chat_id, RICH_METHOD, {**_into(lane), "rich_message": {"markdown": text}})


def _document(lane: Lane, text: str, first: Part) -> Outgoing:
    caption = split(first.text.partition("\n\n")[0], MAX_CAPTION)[0]
    file = {"field": "document", "name": FILE_NAME, "text": clean(text)}
    return Outgoing(lane.chat_id, "sendDocument", {**_into(lane), "caption": caption, "_file": file})


def _with_buttons(parts: list[Outgoing], buttons: Buttons) -> list[Outgoing]:
    rows = [
        [{"text": label, "callback_data": data}]
        for label, data in ((clean(label).strip(), clean(data)) for label, data in buttons)
        if label and 0 < len(data.encode()) <= MAX_DATA_BYTES
    ]
    if rows:
        last = parts[-1]
        parts[-1] = replace(last, params={**last.params, "reply_markup": {"inline_keyboard": rows}})
    return parts


def wire(params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters that go to the server."""
    if any(name.startswith("_") for name in params):
        return {name: value for name, value in params.items() if not name.startswith("_")}
    return params


def amended(outgoing: Outgoing, description: str, parameters: Mapping[str, Any]) -> Outgoing | None:
    """Return what to send in the place of a part refused with 400; None when nothing would help.

    The one door for second tries: a group that became a supergroup goes on under its new id; formatting the server
    does not take gives way to the Markdown it was made of, since an answer without bold letters beats no answer; so do
    buttons, and a document where only text is allowed; and where the message that was to become the answer is gone, a new
    one does.
    """
    chat_id = parameters.get("migrate_to_chat_id")
    if isinstance(chat_id, int) and is_id(chat_id) and chat_id != outgoing.chat_id:
        return moved(outgoing, chat_id)
    if outgoing.method == EDIT and gone(description):
        return unedited(outgoing)
    return _reduced(outgoing, description)


def _reduced(outgoing: Outgoing, description: str) -> Outgoing | None:
    if outgoing.method == RICH_METHOD and not _CHAT.search(description):
        return without_rich(outgoing)
    if _OF_BUTTONS.search(description) and "reply_markup" in outgoing.params:
        return replace(outgoing, params={k: v for k, v in outgoing.params.items() if k != "reply_markup"})
    if _OF_MARKUP.search(description) and _MARKUP & outgoing.params.keys():
        return _unmarked(outgoing)
    if _OF_RIGHTS.search(description) and isinstance(file := outgoing.params.get("_file"), dict):
        return _opening(outgoing, str(file.get("text", "")))
    return None


def reformatted(before: Outgoing, after: Outgoing) -> bool:
    """Tell whether a part amended has lost its formatting."""
    return before.method not in {after.method, EDIT} or bool((_MARKUP & before.params.keys()) - after.params.keys())


def without_rich(outgoing: Outgoing) -> Outgoing:
    """Return a part of server-side Markdown in the form every server takes: a message with entities, or a document.

    One part stays one part, so that the outbox never holds more or less than was sent.
    """
    message = outgoing.params.get("rich_message")
    text = str(message.get("markdown", "")) if isinstance(message, dict) else ""
    topic = outgoing.params.get("message_thread_id")
    lane = Lane(outgoing.chat_id, topic if isinstance(topic, int) else 0)
    parts = render(text)
    made = _message(lane, parts[0]) if len(parts) == 1 else _document(lane, text, parts[0])
    markup = outgoing.params.get("reply_markup")
    return replace(made, params={**made.params, "reply_markup": markup}) if markup else made


def _unmarked(outgoing: Outgoing) -> Outgoing:
    params = {name: value for name, value in outgoing.params.items() if name not in _MARKUP and name != "_plain"}
    if "_plain" in outgoing.params:
        params["text"] = outgoing.params["_plain"]
    return replace(outgoing, params=params)


def _opening(outgoing: Outgoing, text: str) -> Outgoing:
    """Return the beginning of a document's text as a message."""
    params = {name: value for name, value in outgoing.params.items() if name not in {"caption", "_file"}}
    beginning = f"{split(text, 4000)[0]}\n…"
    return replace(outgoing, method="sendMessage", params={**params, "text": beginning})


def moved(outgoing: Outgoing, chat_id: int) -> Outgoing:
    """Return the same part for another chat."""
    return replace(outgoing, chat_id=chat_id, params={**outgoing.params, "chat_id": chat_id})
