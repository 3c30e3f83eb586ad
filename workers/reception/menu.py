"""The menu of commands people see at their server, published when it changes and not again after a restart."""

from __future__ import annotations

import hashlib
import json
import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from store.marks import COMMANDS
from workers.backoff import delay_s
from workers.channels.base import Channel, Identity
from workers.crew import Starter
from workers.errors import ChannelError, RateLimited, SendRefused, TokenRejected
from workers.reception.commands import Commands

if TYPE_CHECKING:
    from store.partition import Partition
    from workers.services import Services

logger = logging.getLogger(__name__)

RETRY_BASE_S: Final = 30.0
RETRY_CAP_S: Final = 3600.0
MOST: Final = 100
LONGEST_ABOUT: Final = 256
"""The Bot API's limits of one list: commands, and characters of what one does."""

Lists = dict[str, list[tuple[str, str]]]
"""Language ("" = every other) → commands, (name, what it does) each."""


class Menu:
    """Keeps the server's lists as the configuration has them, in the background. No condition depends on it."""

    __slots__ = ("_channel", "_group", "_me", "_partition", "_running", "_services", "_wanted")

    def __init__(
        self, group: Starter, channel: Channel, partition: Partition, services: Services, me: Identity
    ) -> None:
        self._group = group
        self._channel = channel
        self._partition = partition
        self._services = services
        self._me = me
        self._wanted: Commands | None = None
        self._running = False

    def show(self, commands: Commands) -> None:
        """Have the server show these commands; at once, in the background, whatever is under way."""
        self._wanted = commands
        if not self._running:
            self._running = True
            self._group.start_soon(self._run, name=f"{self._partition.bot_id}/menu")

    async def _run(self) -> None:
        tries = 0
        while (wanted := self._wanted) is not None:
            wait_s = await self._publish(lists_of(wanted), tries)
            if wait_s is not None:
                tries += 1
                await self._services.clock.sleep(wait_s)
            elif self._wanted is wanted:
                self._wanted = None
        self._running = False

    async def _publish(self, lists: Lists, tries: int) -> float | None:
        """Publish what the server does not have; return when to try again, None when there is no need."""
        try:
            async with self._services.menus:
                await self._tell(lists)
        except (SendRefused, TokenRejected) as error:
            logger.warning("the server does not take the list of commands: %s", error)
        except RateLimited as error:
            return max(RETRY_BASE_S, error.retry_after_s)
        except ChannelError as error:
            logger.debug("the list of commands could not be published yet: %s", error)
            return delay_s(tries, base_s=RETRY_BASE_S, cap_s=RETRY_CAP_S)
        return None

    async def _tell(self, lists: Lists) -> None:
        services, marks = self._services, self._partition.marks
        told = _told(await services.insist(lambda: marks.get(COMMANDS)), self._me.id)
        for language in sorted({*told, *lists}):
            digest = _digest(lists.get(language, []))
            if told.get(language, "") != digest:
                await self._channel.publish_commands(lists.get(language, []), language)
                told[language] = digest
                noted = json.dumps({"bot": self._me.id, "lists": {lang: sent for lang, sent in told.items() if sent}})
                await services.insist(partial(self._note, noted))

    async def _note(self, noted: str) -> None:
        await self._partition.marks.put(COMMANDS, noted, self._services.now_ms())


def lists_of(commands: Commands) -> Lists:
    """Return the lists to be published: one for everybody, and one for each language that reads differently."""
    lists = {"": commands.listed("")} | {lang: commands.listed(lang) for lang in commands.languages}
    return {
        lang: [(name, about[:LONGEST_ABOUT]) for name, about in listed[:MOST]]
        for lang, listed in lists.items()
        if listed
    }


def _digest(listed: list[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()[:16] if listed else ""


def _told(noted: str, bot: int) -> dict[str, str]:
    """Return what a note says was published: language → digest; nothing when it was under another bot's number."""
    known = json.loads(noted) if noted else {}
    return dict(known["lists"]) if known.get("bot") == bot else {}
