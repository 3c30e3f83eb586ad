"""The commands of a bot: those it is born with, and its own from `[[commands]]`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from workers.channels.base import Identity, Incoming
from workers.channels.entities import part
from workers.reception import buttons
from workers.reception.outcomes import Ask, Became, Buttons, Drop, Say
from workers.reception.texts import FALLBACK, Texts, spoken

if TYPE_CHECKING:
    from config.schema import BotConfig, CommandSection
    from store.partition import Partition
    from workers.services import Services

BORN_WITH: Final = ("start", "help", "reset", "undo", "forget", "model")
LONGEST_NAME: Final = 32
LONGEST_SHOWN: Final = 200
"""Characters shown of a question that was taken back."""

Do = Callable[[Any, Incoming], Awaitable[Became]]


class Commands:
    """What a bot understands beside questions, by its configuration as it was when this was made."""

    __slots__ = ("_born", "_config", "_me", "_own", "_partition", "_services", "_texts")

    def __init__(self, config: BotConfig, texts: Texts, partition: Partition, services: Services, me: Identity) -> None:
        self._config = config
        self._texts = texts
        self._partition = partition
        self._services = services
        self._me = me
        self._own: dict[str, CommandSection] = {command.name: command for command in config.commands}
        self._born = BORN_WITH if config.llm.choices else BORN_WITH[:-1]

    def knows(self, name: str) -> bool:
        """Tell whether a command is one of the bot's."""
        return name in self._own or name in self._born

    def listed(self, language: str) -> list[tuple[str, str]]:
        """Return the commands people are told of, with what they do, in a language (English where there is none)."""
        born = [
            (name, self._texts.say(f"about_{name}", language))
            for name in self._born
            if name != "start" and name not in self._own
        ]
        lang = spoken(language)
        own = [(name, own.descriptions.get(lang, own.description)) for name, own in self._own.items()]
        return [*born, *((name, about) for name, about in own if about)]

    @property
    def languages(self) -> list[str]:
        """The languages in which the list reads differently, English left out."""
        named = {*self._texts.languages, *(spoken(lang) for own in self._own.values() for lang in own.descriptions)}
        return sorted(lang for lang in named - {FALLBACK} if self.listed(lang) != self.listed(FALLBACK))

    async def do(self, incoming: Incoming) -> Became:
        """Do the command a message begins with."""
        own = self._own.get(incoming.command)
        if own is None:
            if incoming.command in self._born:
                return await self._BORN[incoming.command](self, incoming)
            return self._say(incoming, "unknown_command", command=incoming.command[:LONGEST_NAME])
        if own.prompt:
            return Ask(replace(incoming, text=own.prompt.replace("{args}", incoming.args)))
        text = own.text.replace("{args}", incoming.args)
        return Say(text, buttons.suggestions(own.buttons), format=self._config.reply.format)

    # --- born with ---------------------------------------------------------------------------------------------

    async def _start(self, incoming: Incoming) -> Became:
        return self._say(incoming, "start", bot=self._config.name or self._me.name)

    async def _help(self, incoming: Incoming) -> Became:
        heading = self._texts.say("help", incoming.language)
        lines = [f"/{name}: {about}" for name, about in self.listed(incoming.language)]
        return Say("\n".join((heading, "", *lines)), format="plain")

    async def _reset(self, incoming: Incoming) -> Became:
        conversations, services = self._partition.conversations, self._services
        key = self._config.client_id, incoming.lane.conversation_id
        await services.insist(lambda: conversations.reset(*key, services.now_ms()))
        return self._say(incoming, "reset_done")

    async def _undo(self, incoming: Incoming) -> Became:
        conversations, services = self._partition.conversations, self._services
        key, update_id = (self._config.client_id, incoming.lane.conversation_id), incoming.update_id
        undone = await services.insist(lambda: conversations.undo(*key, services.now_ms(), update_id=update_id))
        if undone is None:
            return self._say(incoming, "undo_nothing")
        words = undone.content
        shown = words if len(words) <= LONGEST_SHOWN else f"{words[: LONGEST_SHOWN - 1]}…"
        return self._say(incoming, "undo_done", text=shown)

    async def _forget(self, incoming: Incoming) -> Became:
        if incoming.user_id is None:
            return Drop("ignored", "nobody to forget")
        button = self._texts.say("forget_button", incoming.language)
        return self._say(incoming, "forget_ask", buttons.confirm_forget(button, incoming.user_id))

    async def _model(self, incoming: Incoming) -> Became:
        if incoming.args:
            return await self.choose(incoming, incoming.args)
        now = await self.model_of(incoming) or self._config.llm.model or self._config.llm.provider
        return self._say(incoming, "model_list", buttons.choices(self._config.llm.choices), model=now)

    _BORN: Final[Mapping[str, Do]] = MappingProxyType(
        {"start": _start, "help": _help, "reset": _reset, "undo": _undo, "forget": _forget, "model": _model}
    )

    # --- what their buttons do ---------------------------------------------------------------------------------

    async def choose(self, incoming: Incoming, model: str) -> Became:
        """Have the conversation answered by a model from now on."""
        if model not in self._config.llm.choices:
            return self._say(incoming, "model_unknown")
        conversations, services = self._partition.conversations, self._services
        key = self._config.client_id, incoming.lane.conversation_id
        await services.insist(lambda: conversations.choose_model(*key, model, services.now_ms()))
        return self._say(incoming, "model_chosen", model=model)

    async def model_of(self, incoming: Incoming) -> str:
        """Return the model chosen for a conversation, "" where none is or it is no choice any more."""
        if not self._config.llm.choices:
            return ""
        conversations, key = self._partition.conversations, (self._config.client_id, incoming.lane.conversation_id)
        model = await self._services.insist(lambda: conversations.model_of(*key))
        return model if model in self._config.llm.choices else ""

    async def forget(self, incoming: Incoming) -> Became:
        """Delete all that is known of whoever pressed the button."""
        conversations, services = self._partition.conversations, self._services
        client_id, user_id = self._config.client_id, str(incoming.user_id)
        await services.insist(lambda: conversations.forget(client_id, user_id))
        await services.media.forget(self._partition.bot_id, incoming.user_id)
        return self._say(incoming, "forget_done")

    def _say(self, incoming: Incoming, key: str, below: Buttons = (), **filled: object) -> Say:
        return Say(self._texts.say(key, incoming.language, **filled), below, format="plain")


def spoken_command(incoming: Incoming) -> Incoming:
    """Return what stands on a button as if it had been written, a command at its beginning included."""
    text = incoming.text
    if not text.startswith("/"):
        return incoming
    name, _, args = part(text, 1).partition(" ")
    return replace(incoming, command=name.lower(), args=args.strip())
