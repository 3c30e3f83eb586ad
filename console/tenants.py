"""Every bot a program may talk to: the folder's, by its files as they are now, and the registered ones.

A name belongs to one bot. A file wins: while there is one, a registration of that name is refused, and one made before
rests until the file is gone. A bot whose configuration names a `client_id` is that client's: a key bound to another client
does not see it. Bots that name none are everybody's, each client with conversations of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from config.errors import ConfigInvalid
from config.snapshot import BotSpec
from config.vocabulary import FLEET, Desired
from console.base import Within
from console.control import no_such_bot
from console.errors import BadRequest, Conflict
from workers.bot import Bot
from workers.errors import NoSuchBot, WrongPhase
from workers.registrations.base import Registration
from workers.registrations.differences import Difference
from workers.registry import BotRegistry

if TYPE_CHECKING:
    from console.runtime import Fleet
    from store.partition import Partition
    from workers.services import Services

PRESENT: Final = ("active", "inactive")
"""Statuses of registrations that are listed."""


@dataclass(frozen=True, slots=True)
class Answering:
    """A bot that answers. since is when it began to be there, Unix time."""

    bot_id: str
    since: float


class Tenants(Within):
    """bot_id → Bot, for the API of a fleet. `bound` is the client a key is bound to, None for one that is not."""

    def __init__(self, fleet: Fleet, services: Services, registry: BotRegistry) -> None:
        super().__init__(fleet)
        self.registry = registry
        self._services = services
        self._folder: dict[str, Bot] = {}
        self._registering = anyio.Lock()

    async def close(self) -> None:
        """Take no more questions, and wait until those taken are answered. Safe to cancel."""
        self.closing = True
        async with anyio.create_task_group() as group:
            for bot in self._folder.values():
                group.start_soon(bot.close)
            group.start_soon(self.registry.close)

    # --- to talk to --------------------------------------------------------------------------------------------

    async def bot(self, bot_id: str, bound: str | None = None) -> Bot:
        """Return a bot to talk to.

        Raises NoSuchBot, WrongPhase for one of the folder that answers nobody now, ConfigInvalid for a registration that
        makes no bot (any more), ShuttingDown.
        """
        self._refuse_when_closing()
        if bound is not None and ((spec := await self._spec_of(bot_id)) is None or not _for(spec, bound)):
            raise no_such_bot(bot_id, ())  # whether it is somebody else's, and what others are called, is not told
        return self._of_folder(bot_id) if self.in_folder(bot_id) else await self._registered(bot_id)

    async def partition(self, bot_id: str, bound: str | None = None) -> Partition:
        """Return the rows of a bot, whether it answers or not. Raises NoSuchBot."""
        if not self.in_folder(bot_id) and await self.registry.get_registration(bot_id) is None:
            raise self._unknown(bot_id) if bound is None else no_such_bot(bot_id, ())
        if bound is not None and (spec := await self._spec_of(bot_id)) is not None and not _for(spec, bound):
            raise no_such_bot(bot_id, ())
        return self._fleet.store.partition(bot_id)

    async def answering(self, bound: str | None = None) -> list[Answering]:
        """Return the bots that answer, by id."""
        found = []
        for bot_id, spec in self._fleet.snapshot.bots.items():
            status = self._fleet.pool.bot(bot_id) if self.in_folder(bot_id) else None
            if status and spec.config.enabled and _at_work(status.desired, paused=status.paused) and _for(spec, bound):
                found.append(Answering(bot_id, status.since))
        for each in await self.registry.list_registrations():
            own = None if self.in_folder(each.bot_id) else await self._spec_of(each.bot_id)
            if own is not None and _for(own, bound):
                found.append(Answering(each.bot_id, each.created_ms / 1000))
        return sorted(found, key=lambda one: one.bot_id)

    # --- what is known of one ----------------------------------------------------------------------------------

    def in_folder(self, bot_id: str) -> bool:
        """Tell whether a file of the folder, good or bad, has this name."""
        return bot_id in self._fleet.pool

    async def since(self, bot_id: str) -> float:
        """Return when a bot began to be there, Unix time. Raises NoSuchBot."""
        if self.in_folder(bot_id):
            return self._fleet.pool.bot(bot_id).since
        return (await self.registration(bot_id)).created_ms / 1000

    async def journaled(self, bot_id: str) -> str:
        """Return the name of something that is written about: a bot, or the fleet itself. Raises NoSuchBot."""
        return bot_id if bot_id == FLEET else (await self.partition(bot_id)).bot_id

    async def client(self, bot_id: str, client_id: str) -> str:
        """Return the client a conversation of a bot is kept under: the one that is named, else the bot's own."""
        spec = None if client_id else await self._spec_of(bot_id)
        return spec.config.client_id if spec else client_id

    async def zone(self, bot_id: str) -> str:
        """Return the time zone of a bot, "" for UTC."""
        spec = await self._spec_of(bot_id)
        return spec.config.time_zone if spec else ""

    # --- registrations -----------------------------------------------------------------------------------------

    async def registration(self, bot_id: str) -> Registration:
        """Return a registration, active or not. Raises NoSuchBot; Conflict, naming the file, for a bot of the folder."""
        self.refuse_files(bot_id)
        found = await self.registry.get_registration(bot_id)
        if found is None:
            raise self._unknown(bot_id)
        return found

    async def registrations(self) -> list[Registration]:
        """Return every registration, active or not, that no file stands before, by id."""
        found = await self.registry.list_registrations({"status": list(PRESENT)})
        return [each for each in found if not self.in_folder(each.bot_id)]

    async def register(
        self, bot_id: str, config: Mapping[str, Any], metadata: Mapping[str, Any], *, actor: str
    ) -> Registration:
        """Register a new bot. Raises Conflict when there is one of that name, ConfigInvalid, BadRequest, ShuttingDown."""
        async with self._registering:
            if await self.registry.get_registration(bot_id) is not None:
                raise Conflict(f"{bot_id} is registered already", "change it, or choose another id")
            return await self._put(bot_id, config, metadata, "active", actor)

    async def change(
        self, bot_id: str, config: Mapping[str, Any], metadata: Mapping[str, Any], *, actor: str
    ) -> Registration:
        """Merge changes into a registration: a new version of it. Raises NoSuchBot, and what `register` raises."""
        async with self._registering:
            old = await self.registration(bot_id)
            return await self._put(
                bot_id, patched(old.config, config), patched(old.metadata, metadata), old.status, actor
            )

    async def _put(
        self, bot_id: str, config: Mapping[str, Any], metadata: Mapping[str, Any], status: str, actor: str
    ) -> Registration:
        self._refuse_when_closing()
        self.refuse_files(bot_id)
        try:
            found = await self.registry.register(bot_id, config, status, metadata=metadata)
        except ConfigInvalid:
            raise
        except ValueError as error:
            raise BadRequest(str(error)) from None
        self._note("register", bot_id, actor, f"version {found.version}")
        return found

    async def restore(self, bot_id: str, version: int, *, actor: str) -> Registration:
        """Register an older version anew. Raises NoSuchBot, Conflict, ConfigInvalid."""
        old = await self.version(bot_id, version)
        async with self._registering:
            return await self._put(bot_id, old.config, old.metadata, "active", actor)

    async def version(self, bot_id: str, version: int) -> Registration:
        """Return one version that is kept. Raises NoSuchBot, naming those there are."""
        self.refuse_files(bot_id)
        versions = {each.version: each for each in await self.registry.history(bot_id)}
        if not versions:
            raise self._unknown(bot_id)
        if version not in versions:
            kept = ", ".join(map(str, versions))
            raise NoSuchBot(f"{bot_id} has no version {version}", f"kept are {kept}")
        return versions[version]

    async def history(self, bot_id: str) -> Sequence[Registration]:
        """Return the versions that are kept, oldest first. Raises NoSuchBot, Conflict."""
        self.refuse_files(bot_id)
        found = await self.registry.history(bot_id)
        if not found:
            raise self._unknown(bot_id)
        return found

    async def diff(self, bot_id: str, before: int, after: int) -> list[Difference]:
        """Return what changed between two versions. Raises NoSuchBot, Conflict."""
        await self.version(bot_id, before)
        await self.version(bot_id, after)
        return await self.registry.diff(bot_id, before, after)

    async def remove(self, bot_id: str, *, actor: str) -> int:
        """Take a registration out, when the questions its bot was asked are answered; return its last version.

        Its conversations stay, and `restore` brings it back. Raises NoSuchBot, Conflict, ShuttingDown.
        """
        self._refuse_when_closing()
        found = await self.registration(bot_id)
        await self.registry.unregister(bot_id)
        self._note("unregister", bot_id, actor)
        return found.version

    async def steer(self, bot_id: str, action: str, *, actor: str) -> None:
        """Start, stop or reload a registered bot. Raises NoSuchBot, WrongPhase for any other action, ConfigInvalid."""
        self._refuse_when_closing()
        found = await self.registration(bot_id)
        if action == "start":
            await self.registry.activate(bot_id)
        elif action == "stop":
            await self.registry.deactivate(bot_id)
        elif action == "reload":
            if found.status == "active":
                await self.registry.get_bot(bot_id, force_refresh=True)
        else:
            raise WrongPhase(f"{bot_id} is registered: it runs in no worker to {action}", "start, stop or reload it")
        self._note(action, bot_id, actor)

    def note(self, action: str, bot_id: str, actor: str, reason: str) -> None:
        """Write down that somebody did something to a bot's conversations."""
        self._note(action, bot_id, actor, reason)

    def refuse_files(self, bot_id: str) -> None:
        """Raise Conflict, naming its file, for a bot of the folder: it is changed there."""
        if self.in_folder(bot_id):
            raise Conflict(f"{bot_id} is a bot of the folder", f"edit {self._file(bot_id)}")

    # --- within ------------------------------------------------------------------------------------------------

    def _of_folder(self, bot_id: str) -> Bot:
        status = self._fleet.pool.bot(bot_id)
        if not _at_work(status.desired, paused=status.paused):
            raise WrongPhase(f"{bot_id} is {'paused' if status.paused else 'stopped'}", "start or resume it first")
        bot = self._folder.get(bot_id)
        if bot is None:
            self._folder = {name: bot for name, bot in self._folder.items() if self.in_folder(name)}
            bot = self._folder[bot_id] = Bot(bot_id, lambda: self._live(bot_id), self._services)
        self._live(bot_id)
        return bot

    def _live(self, bot_id: str) -> BotSpec:
        """Return the configuration a bot of the folder has now. Raises WrongPhase when it has none to answer by."""
        spec = self._fleet.spec(bot_id)
        if spec is None:
            raise WrongPhase(f"{bot_id} has no good configuration to answer by", "`botdeck check` says what is wrong")
        if not spec.config.enabled:
            raise WrongPhase(f"{bot_id} is disabled in its file", "set enabled = true there")
        return spec

    async def _registered(self, bot_id: str) -> Bot:
        try:
            return await self.registry.get_bot(bot_id)
        except NoSuchBot:
            found = await self.registry.get_registration(bot_id)
            if found is None:
                raise self._unknown(bot_id) from None
            raise WrongPhase(f"{bot_id} is stopped", "start it first") from None

    async def _spec_of(self, bot_id: str) -> BotSpec | None:
        """Return a bot's configuration, None where it has none that is good or does not answer."""
        if self.in_folder(bot_id):
            return self._fleet.spec(bot_id)
        try:
            return (await self.registry.get_bot(bot_id)).spec()
        except (NoSuchBot, ConfigInvalid):
            return None

    def _unknown(self, bot_id: str) -> NoSuchBot:
        return no_such_bot(bot_id, self._fleet.pool.bot_ids())


def _at_work(desired: str, *, paused: bool) -> bool:
    return desired == Desired.RUN and not paused


def _for(spec: BotSpec, bound: str | None) -> bool:
    """Tell whether a client may see a bot."""
    return bound is None or spec.config.client_id in {"", bound}


def patched(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping with changes merged into it, as RFC 7396 has it."""
    made = dict(old)
    for name, value in changes.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, Mapping):
            before = made.get(name)
            made[name] = patched(before if isinstance(before, Mapping) else {}, value)
        else:
            made[name] = value
    return made
