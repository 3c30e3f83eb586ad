"""What bots say of their own accord, in English and Russian, and what an operator says instead.

A text may hold names in braces, which are filled in; braces that name nothing stay as they are.
"""

# ruff: noqa: RUF001 (Russian is written in Cyrillic)

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

FALLBACK: Final = "en"

BUILT_IN: Final[Mapping[str, Mapping[str, str]]] = {
    "en": {
        "start": "Hello! I am {bot}. Write to me, and I answer. /help says what else I understand.",
        "help": "Write to me, and I answer. I also understand:",
        "reset_done": "Let us begin anew. I no longer think of what was said before.",
        "undo_done": "Taken back: “{text}”",
        "undo_nothing": "There is nothing to take back.",
        "forget_ask": "Shall I delete all I know of you? This cannot be undone.",
        "forget_button": "Delete everything",
        "forget_done": "Done. I know nothing of you any more.",
        "forget_not_yours": "Only the person who asked may decide this.",
        "model_list": "This conversation is answered by {model}. Choose another:",
        "model_chosen": "From now on {model} answers here.",
        "model_unknown": "There is no such model to choose.",
        "denied": "This bot is not open to everybody. Whoever runs it can let you in; your number is {user_id}.",
        "pair_ask": "This bot is private. Send me the code you were given.",
        "pair_done": "Welcome! Write to me, and I answer.",
        "pair_wrong": "This code is not valid, or not any more.",
        "pair_locked": "Too many wrong codes. Please try again in {minutes} minutes.",
        "limited": "That is a little too fast for me. Please try again in {seconds} seconds.",
        "unknown_command": "I do not know /{command}. /help says what I understand.",
        "outdated": "This button is out of date.",
        "unsupported_media": "I cannot take this kind of message. Please write to me.",
        "media_too_large": "This is too large for me. Please send something smaller.",
        "voice_failed": "I could not understand this voice message. Please write to me, or try again.",
        "document_failed": "I could not read this file. Please send it as text, or try again.",
        "about_help": "What I understand",
        "about_reset": "Begin a new conversation",
        "about_undo": "Take back the last question",
        "about_forget": "Delete all I know of you",
        "about_model": "Choose the model that answers",
    },
    "ru": {
        "start": "Здравствуйте! Я {bot}. Напишите мне, и я отвечу. Что ещё я понимаю, скажет /help.",
        "help": "Напишите мне, и я отвечу. Ещё я понимаю:",
        "reset_done": "Начнём сначала. О сказанном прежде я больше не думаю.",
        "undo_done": "Отменено: «{text}»",
        "undo_nothing": "Отменять нечего.",
        "forget_ask": "Удалить всё, что я о вас знаю? Вернуть это будет нельзя.",
        "forget_button": "Удалить всё",
        "forget_done": "Готово. Больше я о вас ничего не знаю.",
        "forget_not_yours": "Это решает только тот, кто спросил.",
        "model_list": "В этом разговоре отвечает {model}. Можно выбрать другую модель:",
        "model_chosen": "Теперь здесь отвечает {model}.",
        "model_unknown": "Такой модели в списке нет.",
        "denied": "Этот бот открыт не для всех. Впустить вас может его владелец; ваш номер: {user_id}.",
        "pair_ask": "Это закрытый бот. Пришлите код, который вам дали.",
        "pair_done": "Добро пожаловать! Напишите мне, и я отвечу.",
        "pair_wrong": "Этот код не действует или уже не действует.",
        "pair_locked": "Слишком много неверных кодов. Попробуйте через {minutes} мин.",
        "limited": "Для меня это слишком быстро. Попробуйте через {seconds} с.",
        "unknown_command": "Команды /{command} я не знаю. Что я понимаю, скажет /help.",
        "outdated": "Эта кнопка устарела.",
        "unsupported_media": "Такие сообщения я не принимаю. Напишите, пожалуйста, словами.",
        "media_too_large": "Это для меня слишком много. Пришлите, пожалуйста, что-нибудь поменьше.",
        "voice_failed": "Не получилось разобрать голосовое сообщение. Напишите словами или попробуйте ещё раз.",
        "document_failed": "Не получилось прочитать файл. Пришлите текстом или попробуйте ещё раз.",
        "about_help": "Что я понимаю",
        "about_reset": "Начать новый разговор",
        "about_undo": "Отменить последний вопрос",
        "about_forget": "Удалить всё, что я о вас знаю",
        "about_model": "Выбрать модель, которая отвечает",
    },
}


class Texts:
    """The texts of one bot: its own over the built-in ones. own is language → key → text."""

    __slots__ = ("_own",)

    def __init__(self, own: Mapping[str, Mapping[str, str]]) -> None:
        self._own = own

    def say(self, key: str, language: str, **filled: object) -> str:
        """Return a text in a person's language (as Telegram names it: ru, pt-br), in English where there is none."""
        text = self._find(key, spoken(language)) or self._find(key, FALLBACK) or ""
        for name, value in filled.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages there is any text in."""
        return tuple(dict.fromkeys((*BUILT_IN, *self._own)))

    def _find(self, key: str, language: str) -> str | None:
        own = self._own.get(language)
        return (own.get(key) if own else None) or BUILT_IN.get(language, {}).get(key)


def spoken(language: str) -> str:
    """Return the language of a code, without its country."""
    return language.partition("-")[0].lower()
