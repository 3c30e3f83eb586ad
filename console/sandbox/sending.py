"""The methods by which a bot speaks: messages, media, edits, deletions."""

from __future__ import annotations

import json
from typing import Any, Final

from aiohttp.web import FileField

from console.sandbox.answers import TRUE, Refused, Reply, accepted_json, bad_request, dump, flooded
from console.sandbox.bots import Chat, SandboxBot, SentMessage
from console.sandbox.entities import MAX_CAPTION, MAX_TEXT, parse, utf16_length
from console.sandbox.fixing import fixed
from console.sandbox.parameters import Params, chat_of, flag, integer, structure, topic_of
from console.sandbox.rules import Rules

MEDIA: Final = ("animation", "audio", "document", "photo", "sticker", "video", "video_note", "voice")
NOT_MODIFIED: Final = (
    "message is not modified: specified new message content and reply markup are exactly the same as a current "
    "content and reply markup of the message"
)
_text = json.encoder.encode_basestring_ascii


MAX_RICH: Final = 32_768
MAX_DATA_BYTES: Final = 64


def media_method(kind: str) -> str:
    """Return the method's name for a kind of media: video_note -> sendVideoNote."""
    return "send" + "".join(part.capitalize() for part in kind.split("_"))


def send_message(bot: SandboxBot, params: Params, rules: Rules) -> Reply:
    """Do sendMessage."""
    chat = chat_for(bot, params, rules)
    text, entities = read_text(params, "text", "entities", MAX_TEXT)
    if not text.strip():
        raise bad_request("message text is empty")
    return _deliver(bot, chat, "sendMessage", text, params, rules, _members("text", text, entities))


def send_media(bot: SandboxBot, params: Params, rules: Rules, kind: str) -> Reply:
    """Do sendDocument, sendPhoto and their like: the file is stored and can be fetched with getFile."""
    chat = chat_for(bot, params, rules)
    caption, entities = read_text(params, "caption", "caption_entities", MAX_CAPTION)
    media = dump(_media(bot, params.get(kind), kind))
    members = f',"{kind}":{f"[{media}]" if kind == "photo" else media}'
    if caption:
        members += _members("caption", caption, entities)
    return _deliver(bot, chat, media_method(kind), caption, params, rules, members)


def send_rich(bot: SandboxBot, params: Params, rules: Rules) -> Reply:
    """Do sendRichMessage, where the double knows it: Markdown is taken as it is, to 32,768 characters."""
    if not rules.rich_messages:
        raise Refused(404, "Not Found: method not found")
    chat = chat_for(bot, params, rules)
    message = structure(params, "rich_message")
    if not isinstance(message, dict):
        raise bad_request("rich_message must be an Object")
    if not isinstance(text := message.get("markdown", message.get("html")), str) or not text.strip():
        raise bad_request("rich message text is empty")
    if len(text) > MAX_RICH:
        raise bad_request("rich message is too long")
    return _deliver(bot, chat, "sendRichMessage", text, params, rules, _members("text", text, []))


def _deliver(bot: SandboxBot, chat: Chat, method: str, text: str, params: Params, rules: Rules, members: str) -> Reply:
    if rules.pacing is not None:
        wait_s = rules.pacing(bot.id).ask(chat.id, bot.clock.monotonic())
        if wait_s:
            raise flooded(wait_s)
    _check_buttons(structure(params, "reply_markup"))
    topic_id = topic_of(params)
    reply_to = _reply_target(bot, params)
    message_id = bot.new_message_id()
    at = bot.clock.now()
    bot.record(SentMessage(method, chat.id, text, message_id, topic_id, at, params, reply_to))
    members += f',"message_thread_id":{topic_id},"is_topic_message":true' if topic_id else ""
    return accepted_json(_message(bot, chat, message_id, at, members + _answered(chat, reply_to, at)))


def _answered(chat: Chat, reply_to: int, at: float) -> str:
    return f',"reply_to_message":{{"message_id":{reply_to},"chat":{chat.shape},"date":{int(at)}}}' if reply_to else ""


def _message(bot: SandboxBot, chat: Chat, message_id: int, at: float, members: str) -> str:
    head = f'"message_id":{message_id},"from":{bot.shape},"chat":{chat.shape},"date":{int(at)}'
    return f"{{{head}{members}}}"


def _members(name: str, text: str, entities: list[dict[str, Any]]) -> str:
    listed = f',"{"caption_" if name == "caption" else ""}entities":{dump(entities)}' if entities else ""
    return f',"{name}":{_text(text)}{listed}'


def edit_text(bot: SandboxBot, params: Params, rules: Rules) -> Reply:
    """Do editMessageText."""
    chat = chat_for(bot, params, rules)
    text, entities = read_text(params, "text", "entities", MAX_TEXT)
    if not text.strip():
        raise bad_request("message text is empty")
    message_id = integer(params, "message_id")
    if not 0 < message_id < bot.next_message_id or message_id in bot.deleted:
        raise bad_request("message to edit not found")
    mine = next((message for message in reversed(bot.sent) if message.message_id == message_id), None)
    if mine is None or mine.chat_id != chat.id:
        raise bad_request("message can't be edited")
    if mine.text == text and mine.params.get("reply_markup") == params.get("reply_markup"):
        raise bad_request(NOT_MODIFIED)
    at = bot.clock.now()
    bot.record(SentMessage("editMessageText", chat.id, text, message_id, mine.topic_id, at, params, mine.reply_to))
    members = f',"edit_date":{int(at)}' + _members("text", text, entities) + _answered(chat, mine.reply_to, mine.at)
    return accepted_json(_message(bot, chat, message_id, mine.at, members))


def delete_message(bot: SandboxBot, params: Params, rules: Rules) -> Reply:
    """Do deleteMessage."""
    chat_for(bot, params, rules)
    message_id = integer(params, "message_id")
    if not 0 < message_id < bot.next_message_id or message_id in bot.deleted:
        raise bad_request("message to delete not found")
    bot.deleted.add(message_id)
    return TRUE


def chat_for(bot: SandboxBot, params: Params, rules: Rules) -> Chat:
    """Return the chat a request is for. Raises Refused when there is none or the person blocked the bot."""
    if not params.get("chat_id"):
        raise bad_request("chat_id is empty")
    chat_id = chat_of(params)
    chat = bot.chats.get(chat_id) if chat_id is not None else None
    if chat_id is None or (rules.known_chats_only and (chat is None or not chat.wrote)):
        raise bad_request("chat not found")
    chat = chat or bot.chat(chat_id)
    if chat.blocked:
        private = chat.type == "private"
        raise Refused(
            403, f"Forbidden: bot was {'blocked by the user' if private else f'kicked from the {chat.type} chat'}"
        )
    if chat.moved_to:
        upgraded = "Bad Request: group chat was upgraded to a supergroup chat"
        raise Refused(400, upgraded, migrate_to=chat.moved_to)
    topic_id = topic_of(params)
    if topic_id and rules.known_chats_only and topic_id not in chat.topics:
        raise bad_request("message thread not found")
    return chat


def read_text(params: Params, name: str, entities_name: str, most: int) -> tuple[str, list[dict[str, Any]]]:
    """Return text and entities after parsing. Raises Refused: too long, bad markup, bad entities."""
    text = str(params.get(name, "")).replace("\r", "").rstrip()
    mode = params.get("parse_mode")
    if mode:
        text, entities = parse(text, str(mode))
    else:
        listed = structure(params, entities_name)
        entities = fixed(listed, text) if listed else []
    if len(text) * 2 > most and utf16_length(text) > most:
        raise bad_request("message is too long" if name == "text" else "message caption is too long")
    return text, entities


def _check_buttons(markup: Any) -> None:
    """Refuse inline buttons without a text, or with data the server does not take."""
    rows = markup.get("inline_keyboard", []) if isinstance(markup, dict) else []
    for button in (button for row in rows for button in row):
        if not str(button.get("text", "")).strip():
            raise bad_request("inline keyboard button text is empty")
        data = button.get("callback_data")
        if data is not None and not 0 < len(str(data).encode()) <= MAX_DATA_BYTES:
            raise bad_request("BUTTON_DATA_INVALID")


def _reply_target(bot: SandboxBot, params: Params) -> int:
    """Return the id of the message answered to, 0 for none. Raises Refused when it does not exist."""
    if "reply_parameters" not in params and "reply_to_message_id" not in params:
        return 0
    described = structure(params, "reply_parameters") or {"message_id": integer(params, "reply_to_message_id")}
    if not isinstance(described, dict):
        raise bad_request("object expected as reply parameters")
    message_id = integer(described, "message_id")
    if not message_id or (0 < message_id < bot.next_message_id and message_id not in bot.deleted):
        return message_id
    if flag(described, "allow_sending_without_reply") or flag(params, "allow_sending_without_reply"):
        return 0
    raise bad_request("message to be replied not found")


def _media(bot: SandboxBot, given: Any, kind: str) -> dict[str, Any]:
    if isinstance(given, FileField):
        file_id = bot.add_file(given.file.read(), given.filename)
    elif isinstance(given, str) and given in bot.files:
        file_id = given
    elif isinstance(given, str) and given.startswith("attach://"):
        raise bad_request("file must be non-empty")
    elif given:
        raise bad_request("wrong file identifier/HTTP URL specified")
    else:
        raise bad_request(f"there is no {kind} in the request")
    stored = bot.files[file_id]
    shape: dict[str, Any] = {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": len(stored.data)}
    return {**shape, "file_name": stored.name, **_DIMENSIONS.get(kind, {})}


_SIZE: Final = {"width": 1, "height": 1}
_DIMENSIONS: Final[dict[str, dict[str, Any]]] = {
    "photo": _SIZE,
    "video": {**_SIZE, "duration": 1},
    "animation": {**_SIZE, "duration": 1},
    "sticker": {**_SIZE, "type": "regular", "is_animated": False, "is_video": False},
    "video_note": {"length": 1, "duration": 1},
    "voice": {"duration": 1},
    "audio": {"duration": 1},
}
