"""What is registered, changed: the part of a registry that writes versions, and sees to it that bots keep up with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread

from config.snapshot import BotSpec
from config.vocabulary import BOT_ID_PATTERN, is_bot_id
from store.registrations import STATUSES
from workers.bot import Bot
from workers.finishing import finished
from workers.flights import Flights
from workers.home import Home
from workers.registrations.base import Registration, RegistryBackend, encoded
from workers.registrations.living import Living, current
from workers.registrations.reading import Reading
from workers.registrations.register import Register
from workers.services import Services

LONG: Final = 16_384
"""Characters of a configuration that is checked in a thread: a large one takes a second a MiB."""


class Changes(Register):
    """Writes a backend. living are the bots that are there, reading says how they are made; validate: checked before."""

    def __init__(
        self,
        backend: RegistryBackend,
        services: Services | None,
        home: Home,
        living: Living,
        reading: Reading,
        *,
        validate: bool,
    ) -> None:
        super().__init__(backend, services, home)
        self._living = living
        self._reading = reading
        self._validate = validate
        self._flights: Flights[Bot] = Flights()
        """Bots being made."""
        self._outdated: set[str] = set()
        """Bots whose registration was changed while they are made: what was read may be older."""
        self._turns: WeakValueDictionary[str, anyio.Lock] = WeakValueDictionary()
        self._draining: WeakValueDictionary[str, Bot] = WeakValueDictionary()
        """Bots that were shut, while questions they were asked before are answered."""

    async def register(
        self,
        bot_id: str,
        config: Mapping[str, Any],
        status: str = "active",
        skip_validation: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> Registration:
        """Register a bot, or a new version of one, and return it as it is stored. It counts from the bot's next question on.

        Unless validation is skipped, here or by validate_on_register, the configuration must be portable and make a bot in
        this environment. metadata is the program's own, kept with the version. Raises ConfigInvalid with every problem at
        once, ValueError for an id or a status that is none, StoreError: in all cases nothing is changed.
        """
        _check_id(bot_id)
        _check_status(status)
        table = self._reading.plain(bot_id, config)
        kept = self._reading.plain(bot_id, metadata or {})
        spec = await self._checked(bot_id, table) if self._validate and not skip_validation else None
        services = await self._ready()
        async with self._turn(bot_id):
            found = await self._write(bot_id, table, status, kept)
            self._take_over(found, spec, services)
        await self._drained(bot_id)
        return found

    async def activate(self, bot_id: str) -> bool:
        """Let a deactivated bot answer again; False when it is not registered. Raises StoreError."""
        return await self._change_status(bot_id, "active")

    async def deactivate(self, bot_id: str) -> bool:
        """Let a bot answer nobody, whoever holds it; False when it is not registered. Its registration stays.

        Returns when the questions it was asked before are answered. Raises StoreError.
        """
        return await self._change_status(bot_id, "inactive")

    async def unregister(self, bot_id: str, *, keep_history: bool = True) -> bool:
        """Take a bot out, as `deactivate` does; False when it is not registered. Its conversations stay in the database.

        Its versions are kept, and `restore` brings it back, unless keep_history is False. Raises StoreError.
        """
        async with self._turn(bot_id):
            found = await self.get_registration(bot_id)
            if found is not None and keep_history:
                await self._write(bot_id, {}, "removed", {})
            erased = not keep_history and await self._erase(bot_id)
        await self._drained(bot_id)
        return found is not None or erased

    async def restore(self, bot_id: str, version: int) -> Registration:
        """Register the configuration and metadata of an older version anew, active. Raises as `register`, and KeyError."""
        old = (await self._versions(bot_id, version))[version]
        return await self.register(bot_id, old.config, metadata=old.metadata)

    # --- behind it ---------------------------------------------------------------------------------------------

    async def _checked(self, bot_id: str, config: dict[str, Any]) -> BotSpec:
        if len(encoded(config)) < LONG:
            return self._reading.checked(bot_id, config)
        return await anyio.to_thread.run_sync(self._reading.checked, bot_id, config)

    def _turn(self, bot_id: str) -> anyio.Lock:
        """Return what keeps changes of one bot's registration one after the other."""
        return self._turns.setdefault(bot_id, anyio.Lock())

    async def _write(
        self, bot_id: str, config: dict[str, Any] | None, status: str, metadata: dict[str, Any] | None
    ) -> Registration:
        """Write a version; a bot that is to answer nobody does not from then on, also when the caller is gone meanwhile."""
        services = await self._ready()

        async def work() -> Registration:
            found = await self.backend.put(bot_id, config, status, metadata, services.now_ms())
            self._note(bot_id, shut=status != "active")
            return found

        return await finished(work())

    async def _erase(self, bot_id: str) -> bool:
        """Delete every version; False when there was none."""
        await self._ready()

        async def work() -> bool:
            erased = is_bot_id(bot_id) and await self.backend.delete(bot_id)
            self._note(bot_id, shut=True)
            return erased

        return await finished(work())

    def _note(self, bot_id: str, *, shut: bool) -> None:
        """Note that a registration was changed: what was read before is out of date."""
        if bot_id in self._flights:
            self._outdated.add(bot_id)
        if shut and (bot := self._living.shut(bot_id)) is not None:
            self._draining[bot_id] = bot

    async def _drained(self, bot_id: str) -> None:
        """Wait until the questions a bot was asked before it was shut are answered."""
        bot = self._draining.get(bot_id)
        if bot is not None:
            await bot.close()

    def _take_over(self, found: Registration, spec: BotSpec | None, services: Services) -> None:
        """Let a bot that is there use its new registration, or look at it when it is asked for."""
        bot = self._living.there(found.bot_id)
        if bot is None or found.status != "active":
            return
        if spec is None:
            current(bot).fresh_until = 0.0
            return
        services.redactor.learn(spec.secrets | self._reading.secrets)
        self._living.update(bot, spec, found.version)

    async def _change_status(self, bot_id: str, status: str) -> bool:
        async with self._turn(bot_id):
            found = await self.get_registration(bot_id)
            if found is not None and found.status != status:
                await self._write(bot_id, None, status, None)
        await self._drained(bot_id)
        return found is not None


def _check_id(bot_id: str) -> None:
    if not is_bot_id(bot_id):
        raise ValueError(f"{bot_id!r} cannot name a bot; it must match {BOT_ID_PATTERN}")


def _check_status(status: str) -> None:
    if status not in STATUSES[:-1]:
        raise ValueError(f'no status "{status}" to register; there are: {", ".join(STATUSES[:-1])}')
