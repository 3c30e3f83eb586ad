"""Answers as they go over the wire, and what becomes of a part the server refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from workers.channels.base import Lane, Outgoing
from workers.channels.incoming import is_id
from workers.channels.split import split

_MARKUP = frozenset({"parse_mode", "entities", "caption_entities"})


def plain_parts(lane: Lane, text: str) -> list[Outgoing]:
    """Return text as sendMessage calls into the lane, without markup; at least one."""
    topic = {"message_thread_id": lane.topic_id} if lane.topic_id else {}
    return [
        Outgoing(lane.chat_id, "sendMessage", {"chat_id": lane.chat_id, "text": part, **topic}) for part in split(text)
    ]


def amended(outgoing: Outgoing, description: str, parameters: Mapping[str, Any]) -> Outgoing | None:
    """Return what to send in the place of a part refused with 400; None when nothing would help.

    The one door for second tries: a group that became a supergroup goes on under its new id, and markup the server
    cannot read is left out, since an answer without bold letters beats no answer.
    """
    chat_id = parameters.get("migrate_to_chat_id")
    if isinstance(chat_id, int) and is_id(chat_id) and chat_id != outgoing.chat_id:
        return moved(outgoing, chat_id)
    if "can't parse" in description and _MARKUP & outgoing.params.keys():
        return replace(outgoing, params={k: v for k, v in outgoing.params.items() if k not in _MARKUP})
    return None


def moved(outgoing: Outgoing, chat_id: int) -> Outgoing:
    """Return the same part for another chat."""
    return replace(outgoing, chat_id=chat_id, params={**outgoing.params, "chat_id": chat_id})
