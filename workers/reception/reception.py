"""A person did something: what becomes of it before the model.

facts of the chat → may they speak? → is it meant for the bot? → too late? → too often? → command or button → question
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from workers.channels.base import Channel, Identity, Incoming
from workers.reception import buttons
from workers.reception.chats import Chats
from workers.reception.commands import Commands, spoken_command
from workers.reception.door import Door
from workers.reception.groups import GroupRule, attributed, unnamed
from workers.reception.limits import Notices, RateLimits
from workers.reception.outcomes import Ask, Became, Drop, Say
from workers.reception.texts import Texts

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from store.partition import Partition
    from workers.services import Services

__all__ = ["Ask", "Became", "Drop", "Reception", "Say"]


class Reception:
    """The reception of one bot: decides what becomes of what people do, by the configuration as it is now."""

    __slots__ = (
        "_channel",
        "_chats",
        "_door",
        "_groups",
        "_identity",
        "_limits",
        "_notices",
        "_partition",
        "_services",
        "_spec",
        "_texts",
        "commands",
    )

    def __init__(
        self, spec: BotSpec, channel: Channel, partition: Partition, services: Services, identity: Identity
    ) -> None:
        self._channel = channel
        self._partition = partition
        self._services = services
        self._identity = identity
        self._notices = Notices()
        self._chats = Chats(partition, services)
        self._door = Door(partition, services, Notices())
        self._groups = GroupRule()
        self._limits = RateLimits(spec.config.limits)
        self.apply(spec)

    def apply(self, spec: BotSpec) -> None:
        """Take over another configuration; counts of limits that stay as they are go on."""
        config = spec.config
        self._spec = spec
        self._texts = Texts(config.texts)
        self.commands = Commands(config, self._texts, self._partition, self._services, self._identity)
        self._door.apply(config.access, self._texts)
        self._groups.apply(config.groups.respond)
        self._limits.apply(config.limits)

    async def receive(self, incoming: Incoming, *, late: bool = False) -> Became:
        """Decide what becomes of it. late: it waited too long to be answered.

        Waits while the database refuses. Doing it again after a crash changes nothing twice. Cancelling is safe.
        """
        if incoming.kind == "membership":
            return await self._chats.note(incoming)
        if incoming.kind == "callback":
            return await self._answered(incoming)
        refused = await self._refused(incoming, late=late)
        if refused is not None:
            return refused
        if not incoming.command:
            return await self._ask(incoming)
        became = await self.commands.do(incoming)
        return await self._ask(became.incoming) if isinstance(became, Ask) else _replying(became, incoming)

    def refusal(self, key: str, incoming: Incoming) -> Say:
        """Return what somebody is told whose file is not understood; key is that of a text."""
        say = Say(self._texts.say(key, incoming.language), format="plain")
        return _replying(say, incoming)  # type: ignore[return-value]

    # --- steps -------------------------------------------------------------------------------------------------

    async def _refused(self, incoming: Incoming, *, late: bool) -> Say | Drop | None:
        """Return what becomes of a message that gets no answer; None when it gets one."""
        if incoming.kind == "edited" and (late or self._spec.config.reply.edited == "ignore"):
            return Drop("ignored", "a message was edited")
        group = incoming.chat_type != "private"
        if group:
            await self._chats.see(incoming)
        denied = await self._door.check(incoming)
        if denied is not None:
            return denied
        if group and not self._groups.addressed(incoming, known=self.commands.knows(incoming.command)):
            return Drop("ignored", "not meant for the bot")
        return Drop("expired") if late else self._limited(incoming)

    def _limited(self, incoming: Incoming) -> Say | Drop | None:
        """Count the message; return what becomes of one too many."""
        if self._limits.off or self._door.is_admin(incoming):
            return None
        now, chat_id = self._services.clock.monotonic(), incoming.lane.chat_id
        error = self._limits.admit(incoming.user_id, chat_id, now)
        if error is None:
            return None
        if not self._notices.owed(chat_id, now):
            return Drop("limited", error.message)
        text = self._texts.say("limited", incoming.language, seconds=int(error.retry_after_s) + 1)
        return _replying(Say(text, outcome="limited", format="plain"), incoming)

    async def _ask(self, incoming: Incoming) -> Ask:
        """Let the model answer, in groups and to edited messages as a reply."""
        model = await self.commands.model_of(incoming) if self._spec.config.llm.choices else ""
        if incoming.mentioned:
            incoming = unnamed(incoming, self._identity)
        if not incoming.attachments:
            incoming = attributed(incoming)
        return Ask(incoming, model, _answers_to(incoming))

    # --- buttons -----------------------------------------------------------------------------------------------

    async def _answered(self, incoming: Incoming) -> Became:
        """Do what a button means. The press itself is always answered: without it the button seems to hang."""
        became, note = await self._press(incoming)
        self._channel.answer_press(incoming.callback_id, note)
        return became

    async def _press(self, incoming: Incoming) -> tuple[Became, str]:
        """Return what becomes of a press, and a word shown to whoever pressed."""
        denied = await self._door.check(incoming)
        if denied is None:
            denied = self._limited(incoming)
        if isinstance(denied, Say):
            return Drop(denied.outcome, "a button"), denied.text
        if denied is not None:
            return denied, ""
        return await self._meant(incoming)

    async def _meant(self, incoming: Incoming) -> tuple[Became, str]:
        data, commands = incoming.callback_data, self.commands
        if data.startswith(buttons.FORGET):
            if data != f"{buttons.FORGET}{incoming.user_id}":
                return Drop("ignored", "another's button"), self._texts.say("forget_not_yours", incoming.language)
            return await commands.forget(incoming), ""
        if data.startswith(buttons.MODEL) and self._spec.config.llm.choices and incoming.text:
            return await commands.choose(incoming, incoming.text), ""
        if data.startswith(buttons.SAY) and incoming.text:
            said = spoken_command(incoming)
            became = await commands.do(said) if commands.knows(said.command) else Ask(said)
            return (await self._ask(became.incoming) if isinstance(became, Ask) else became), ""
        return Drop("ignored", "a button that is out of date"), self._texts.say("outdated", incoming.language)


def _answers_to(incoming: Incoming) -> int:
    """Return the message an answer replies to: in groups, where others speak too, and where one was edited."""
    if incoming.kind == "callback" or (incoming.kind == "message" and incoming.chat_type == "private"):
        return 0
    return incoming.message_id


def _replying(became: Say | Drop, incoming: Incoming) -> Say | Drop:
    to = _answers_to(incoming)
    return replace(became, reply_to=to) if to and isinstance(became, Say) else became
