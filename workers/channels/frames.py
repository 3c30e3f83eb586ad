"""An answer under way as Telegram shows it: a draft, or a message that is edited until it is the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from telegram.error import TelegramError

from workers.channels.base import DELETE, EDIT, Frame, Outgoing
from workers.channels.faults import as_refused
from workers.channels.replies import replying

MORE_TO_COME: Final = "…"
"""Ends a frame, so that one left behind by a crash is not taken for an answer."""

_NOT_OF_DRAFTS: Final = frozenset({"reply_markup", "reply_parameters", "link_preview_options"})
_NOT_OF_EDITS: Final = frozenset({"message_thread_id", "reply_parameters"})


def framed(part: Outgoing, frame: Frame) -> Outgoing:
    """Return the call that shows a frame, made of the first part of what would be its answer."""
    if frame.draft_id:
        params = {name: value for name, value in part.params.items() if name not in _NOT_OF_DRAFTS}
        # Ids of drafts are not 0; two frames of one id are shown as one that grows.
        return replace(part, method="sendMessageDraft", params={**params, "draft_id": frame.draft_id})
    if frame.message_id:
        return edited(part, frame.message_id)
    return replying([part], frame.reply_to)[0] if frame.reply_to else part


def edited(part: Outgoing, message_id: int) -> Outgoing:
    """Return the call that makes a message of ours into a part of an answer.

    `_anew` keeps what only a new message takes, should it have to be one (`unedited`).
    """
    params = {name: value for name, value in part.params.items() if name not in _NOT_OF_EDITS}
    anew = {name: value for name, value in part.params.items() if name in _NOT_OF_EDITS}
    return replace(part, method=EDIT, params={**params, "message_id": message_id, **({"_anew": anew} if anew else {})})


def become(parts: Sequence[Outgoing], message_id: int) -> list[Outgoing]:
    """Return an answer whose first part takes the place of a message that has shown it growing.

    What is no text cannot: then that message is taken away, last, so that the answer is never missing.
    """
    first, *rest = parts
    if first.method == "sendMessage":
        return [edited(first, message_id), *rest]
    return [*parts, Outgoing(first.chat_id, DELETE, {"chat_id": first.chat_id, "message_id": message_id})]


def done_already(method: str, failure: TelegramError) -> bool:
    """Tell whether a refusal means that nothing is left to do: a message reads as it was to read, or is gone as it was
    to be.
    """
    refused = as_refused(failure)
    if refused is None or refused.code != 400:
        return False
    return any(reason in refused.description for reason in _DONE.get(method, ()))


def gone(description: str) -> bool:
    """Tell whether an edit was refused because its message is not there any more."""
    return any(reason in description for reason in _GONE)


def unedited(part: Outgoing) -> Outgoing:
    """Return what to send in the place of an edit whose message is gone."""
    params = {name: value for name, value in part.params.items() if name not in {"message_id", "_anew"}}
    return replace(part, method="sendMessage", params={**params, **part.params.get("_anew", {})})


_GONE: Final = ("message to edit not found", "message can't be edited", "MESSAGE_ID_INVALID")
_DONE: Final = {
    EDIT: ("message is not modified",),
    DELETE: ("message to delete not found", "message can't be deleted", "MESSAGE_ID_INVALID"),
}
