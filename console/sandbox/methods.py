"""The Bot API's methods by name, lower case; whatever is not here does not exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from console.sandbox.answers import TRUE, Refused, Reply, accepted, accepted_json, bad_request, refused
from console.sandbox.bots import SandboxBot, Webhook
from console.sandbox.drafts import send_draft
from console.sandbox.parameters import Params, flag, integer, structure
from console.sandbox.rules import Rules
from console.sandbox.sending import (
    MEDIA,
    chat_for,
    delete_message,
    edit_text,
    media_method,
    send_media,
    send_message,
    send_rich,
)
from console.sandbox.updates import TERMINATED_BY_WEBHOOK

Method = Callable[[SandboxBot, Params, Rules], Reply]

MAX_DOWNLOAD_BYTES: Final = 20 * 1024 * 1024
WEBHOOK_ACTIVE: Final = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)
MAX_ACTIONS: Final = 1000
MAX_NOTE: Final = 200
MAX_ABOUT: Final = 256
_COMMAND: Final = re.compile(r"[a-z0-9_]{1,32}")


async def get_updates(bot: SandboxBot, params: Params, rules: Rules) -> Reply:
    """Do getUpdates. Raises Refused (409)."""
    if bot.told.webhook.url:
        raise Refused(409, WEBHOOK_ACTIVE)
    _note_allowed(bot, params)
    if not bot.told.has_polled:
        bot.told.has_polled = True
        bot.news.beat()
    limit = integer(params, "limit", 100)
    return await bot.updates.get(
        integer(params, "offset"),
        min(max(limit, 1), 100),
        integer(params, "timeout"),
        pace_repeats=rules.pace_repeats,
    )


def _note_allowed(bot: SandboxBot, params: Params) -> None:
    """Take over allowed_updates; absent = as before, an empty list = the default."""
    if "allowed_updates" in params:
        kinds = structure(params, "allowed_updates")
        if isinstance(kinds, list):
            bot.told.allowed = frozenset(map(str, kinds)) or None


def _get_me(bot: SandboxBot, _params: Params, _rules: Rules) -> Reply:
    flags = '"can_join_groups":true,"can_read_all_group_messages":false,"supports_inline_queries":false'
    return accepted_json(f"{bot.shape[:-1]},{flags}}}")


def _send_chat_action(bot: SandboxBot, params: Params, rules: Rules) -> Reply:
    chat = chat_for(bot, params, rules)
    action = str(params.get("action", ""))
    if not action:
        raise bad_request("wrong parameter action in request")
    if len(bot.actions) < MAX_ACTIONS:
        bot.actions.append((chat.id, action))
    return TRUE


def _answer_callback_query(bot: SandboxBot, params: Params, _rules: Rules) -> Reply:
    if str(params.get("callback_query_id", "")) not in bot.open_callbacks:
        raise bad_request("query is too old and response timeout expired or query ID is invalid")
    note = str(params.get("text", ""))
    if len(note) > MAX_NOTE:
        raise bad_request("MESSAGE_TOO_LONG")
    bot.open_callbacks.discard(str(params["callback_query_id"]))
    if len(bot.notes) < MAX_ACTIONS:
        bot.notes.append(note)
    return TRUE


def _scope(params: Params) -> str:
    scope = structure(params, "scope")
    return f"{scope or 'default'}:{params.get('language_code', '')}"


def _set_my_commands(bot: SandboxBot, params: Params, _rules: Rules) -> Reply:
    commands = structure(params, "commands")
    if not isinstance(commands, list):
        raise bad_request("can't parse commands JSON object")
    if len(commands) > 100:
        raise bad_request("too many commands specified")
    for command in commands:
        if not isinstance(command, dict) or not _COMMAND.fullmatch(str(command.get("command", ""))):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 0 < len(str(command.get("description", ""))) <= MAX_ABOUT:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    bot.told.commands[_scope(params)] = commands
    return TRUE


def _get_my_commands(bot: SandboxBot, params: Params, _rules: Rules) -> Reply:
    return accepted(bot.told.commands.get(_scope(params), []))


def _delete_my_commands(bot: SandboxBot, params: Params, _rules: Rules) -> Reply:
    bot.told.commands.pop(_scope(params), None)
    return TRUE


def _set_webhook(bot: SandboxBot, params: Params, _rules: Rules) -> Reply:
    url = str(params.get("url", ""))
    if url and not url.startswith("https://"):
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    _note_allowed(bot, params)
    if flag(params, "drop_pending_updates"):
        bot.updates.forget_all()
    if url:
        bot.updates.end_poll(Refused(409, TERMINATED_BY_WEBHOOK))
    secret = str(params.get("secret_token", ""))
    bot.told.webhook = Webhook(url, secret, integer(params, "max_connections", 40))
    return accepted_json(f'true,"description":"Webhook was {"set" if url else "deleted"}"')


def _delete_webhook(bot: SandboxBot, params: Params, rules: Rules) -> Reply:
    return _set_webhook(bot, {**params, "url": ""}, rules)


def _get_webhook_info(bot: SandboxBot, _params: Params, _rules: Rules) -> Reply:
    webhook = bot.told.webhook
    info: dict[str, Any] = {
        "url": webhook.url,
        "has_custom_certificate": False,
        "pending_update_count": bot.pending,
    }
    if webhook.url:
        info["max_connections"] = webhook.max_connections
    if bot.told.allowed is not None:
        info["allowed_updates"] = sorted(bot.told.allowed)
    return accepted(info)


def _get_file(bot: SandboxBot, params: Params, _rules: Rules) -> Reply:
    file_id = str(params.get("file_id", ""))
    stored = bot.files.get(file_id)
    if stored is None:
        raise bad_request("wrong file_id or the file is temporarily unavailable" if file_id else "file_id is empty")
    size = len(stored.data)
    if size > MAX_DOWNLOAD_BYTES:
        raise bad_request("file is too big")
    path = f"documents/{file_id}"
    return accepted({"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": size, "file_path": path})


def _get_chat(bot: SandboxBot, params: Params, rules: Rules) -> Reply:
    shape = chat_for(bot, params, rules).shape
    return accepted_json(f'{shape[:-1]},"accent_color_id":0,"max_reaction_count":11}}')


def _log_out(bot: SandboxBot, _params: Params, _rules: Rules) -> Reply:
    bot.told.logged_out = True
    bot.updates.end_poll(Refused(400, "Logged out"))
    return TRUE


def _true(_bot: SandboxBot, _params: Params, _rules: Rules) -> Reply:
    return TRUE


METHODS: Final[dict[str, Method]] = {
    "getMe": _get_me,
    "sendMessage": send_message,
    "sendRichMessage": send_rich,
    "sendMessageDraft": send_draft,
    "sendChatAction": _send_chat_action,
    "editMessageText": edit_text,
    "deleteMessage": delete_message,
    "answerCallbackQuery": _answer_callback_query,
    "setMyCommands": _set_my_commands,
    "getMyCommands": _get_my_commands,
    "deleteMyCommands": _delete_my_commands,
    "setWebhook": _set_webhook,
    "deleteWebhook": _delete_webhook,
    "getWebhookInfo": _get_webhook_info,
    "getFile": _get_file,
    "getChat": _get_chat,
    "logOut": _log_out,
    **dict.fromkeys(("close", "setMessageReaction", "setMyDescription", "setMyShortDescription", "setMyName"), _true),
    **{media_method(kind): partial(send_media, kind=kind) for kind in MEDIA},
}
NAMES: Final = {name.lower(): name for name in ("getUpdates", *METHODS)}
"""The method a name means in whatever case it is written."""


async def call(bot: SandboxBot, name: str, params: Params, rules: Rules) -> Reply:
    """Do a method by its exact name ("" = unknown) and return the answer, refusals worded too."""
    try:
        if bot.told.logged_out:
            raise Refused(400, "Logged out")
        if name == "getUpdates":
            return await get_updates(bot, params, rules)
        method = METHODS.get(name)
        if method is None:
            raise Refused(404, "Not Found: method not found")
        return method(bot, params, rules)
    except Refused as refusal:
        return refused(refusal)
