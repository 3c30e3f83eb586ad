"""Who may speak to a bot: block list, allow list, and people let in with a code."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from store.access import BLOCKED, PAIRED
from workers.channels.base import Incoming
from workers.reception.limits import Notices
from workers.reception.outcomes import Drop, Say
from workers.reception.pairing import Attempts, code_in, digest_of
from workers.reception.texts import Texts

if TYPE_CHECKING:
    from config.schema import AccessSection
    from store.partition import Partition
    from workers.services import Services

logger = logging.getLogger(__name__)

_UNWANTED: Final = Drop("denied", "blocked")
_NOBODY: Final[frozenset[Any]] = frozenset()


class People:
    """A list of people and chats as `[access]` writes it: numbers, or @names of people."""

    __slots__ = ("_names", "_numbers")

    def __init__(self, listed: Iterable[int | str]) -> None:
        # Most lists are empty: a set of their own would be 216 bytes each, three times for every bot.
        self._numbers = frozenset(entry for entry in listed if isinstance(entry, int)) or _NOBODY
        self._names = (
            frozenset(entry.removeprefix("@").lower() for entry in listed if isinstance(entry, str)) or _NOBODY
        )

    def __bool__(self) -> bool:
        return bool(self._numbers or self._names)

    def has(self, incoming: Incoming) -> bool:
        """Tell whether the person is on the list, or the chat they speak in."""
        if incoming.user_id in self._numbers or incoming.lane.chat_id in self._numbers:
            return True
        return bool(self._names) and incoming.user_username.lower() in self._names


class Door:
    """Decides who gets in, by the files and by what was decided at run time."""

    __slots__ = (
        "_admins",
        "_allowed",
        "_attempts",
        "_blocked",
        "_mode",
        "_notices",
        "_partition",
        "_services",
        "_texts",
        "is_open",
    )

    def __init__(self, partition: Partition, services: Services, notices: Notices) -> None:
        self._partition = partition
        self._services = services
        self._notices = notices
        self._attempts = Attempts()
        self._mode = "open"
        self._admins = self._allowed = self._blocked = People(())
        self._texts = Texts({})
        self.is_open = True
        """Whether the files let everybody in."""

    def apply(self, access: AccessSection, texts: Texts) -> None:
        """Take over the files' lists."""
        self._mode = access.mode
        self._admins, self._allowed, self._blocked = map(People, (access.admins, access.allow, access.block))
        self._texts = texts
        self.is_open = access.mode == "open" and not self._blocked

    def is_admin(self, incoming: Incoming) -> bool:
        """Tell whether somebody is an admin of the bot."""
        return bool(self._admins) and self._admins.has(incoming)

    async def check(self, incoming: Incoming) -> Say | Drop | None:
        """Return what becomes of somebody who may not speak; None for who may. A valid code lets in, once."""
        access, insist = self._partition.access, self._services.insist
        if self.is_open and access.nobody:
            return None
        if self._blocked.has(incoming):
            return _UNWANTED
        state, user_id = None, incoming.user_id
        if user_id is not None and await insist(access.anybody):
            state = await insist(lambda: access.get(user_id))
        if state == BLOCKED:
            return _UNWANTED
        if self._mode == "open" or self._admins.has(incoming) or self._allowed.has(incoming):
            return None
        if self._mode == "pairing":
            return await self._pair(incoming, paired=state == PAIRED)
        return None if state == PAIRED else self._turn_away(incoming, "denied")

    async def _pair(self, incoming: Incoming, *, paired: bool) -> Say | Drop | None:
        code = code_in(incoming.args if incoming.command == "start" else incoming.text)
        if code is None or incoming.kind != "message" or incoming.chat_type != "private":
            return None if paired else self._turn_away(incoming, "pair_ask")
        if not paired and not await self._redeem(incoming, code):
            return self._refuse_code(incoming)
        # Somebody let in already who sends a code has sent it before the process ended: it is no question.
        return Say(self._say(incoming, "pair_done"), format="plain")

    async def _redeem(self, incoming: Incoming, code: str) -> bool:
        user_id, services = incoming.user_id, self._services
        if user_id is None or self._attempts.locked_s(user_id, self._now()):
            return False
        digest, name = digest_of(self._partition.bot_id, code), incoming.user_name
        access = self._partition.access
        if await services.insist(lambda: access.redeem(digest, user_id, name, services.now_ms())):
            logger.info("user %d was let in by a code", user_id)
            return True
        self._attempts.wrong(user_id, self._now())
        logger.warning("user %d sent a code that is not valid", user_id)
        return False

    def _refuse_code(self, incoming: Incoming) -> Say | Drop:
        if left_s := self._attempts.locked_s(incoming.user_id or 0, self._now()):
            return self._turn_away(incoming, "pair_locked", minutes=int(left_s // 60) + 1)
        return Say(self._say(incoming, "pair_wrong"), outcome="denied", format="plain")

    def _turn_away(self, incoming: Incoming, key: str, **filled: object) -> Say | Drop:
        """Tell somebody, in private and now and then, why there is no answer."""
        chat_id = incoming.lane.chat_id
        if incoming.chat_type != "private" or not self._notices.owed(chat_id, self._now()):
            return Drop("denied", "not let in")
        text = self._say(incoming, key, user_id=incoming.user_id, **filled)
        return Say(text, outcome="denied", format="plain")

    def _say(self, incoming: Incoming, key: str, **filled: object) -> str:
        return self._texts.say(key, incoming.language, **filled)

    def _now(self) -> float:
        return self._services.clock.monotonic()
