"""The start of a bot: who it is at its server, and that it is who it has always been."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from config.vocabulary import Condition
from workers.backoff import delay_s
from workers.channels.base import Channel, Identity
from workers.conditions import Conditions
from workers.errors import BotInvalid, ChannelError, RateLimited, TokenRejected
from workers.inbox import RECONNECT_CAP_S
from workers.patience import Patience

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from store.bots import BotState
    from workers.services import Services

T = TypeVar("T")


class Admission:
    """Asks the server who a bot is and holds it to the identity of its first start."""

    __slots__ = ("_channel", "_conditions", "_patience", "_services", "_spec", "_state")

    def __init__(
        self, spec: BotSpec, channel: Channel, services: Services, conditions: Conditions, patience: Patience
    ) -> None:
        self._spec = spec
        self._channel = channel
        self._services = services
        self._conditions = conditions
        self._patience = patience
        self._state = services.store.partition(spec.bot_id).state

    async def admit(self) -> tuple[Identity, int | None]:
        """Return the identity and the offset to poll with, however long the server cannot be reached.

        Raises BotInvalid when the token is refused or belongs to another bot than before. Cancelling is safe.
        """
        known = await self._load()
        identity = await self._insist(self._channel.identify)
        return identity, await self._pin(known, identity)

    async def _load(self) -> BotState | None:
        # Writes are done in order: behind this one, what the last worker of this process had asked for when it was
        # cancelled is in the file, and can be read.
        services = self._services
        await services.insist(lambda: self._state.save(services.now_ms()))
        return await services.insist(self._state.load)

    async def _pin(self, state: BotState | None, identity: Identity) -> int | None:
        known = state.telegram_id if state else None
        if known is not None and known != identity.id:
            raise BotInvalid(
                f"the token belongs to @{identity.username} (id {identity.id}), but this bot has been id {known} so far",
                "give it a token of its own bot, or make a new bot file for the other one",
            )
        offset = state.next_offset if state else None
        if known is None and self._spec.config.telegram.drop_pending_updates:
            offset = await self._insist(self._channel.forget_pending)
        if known is None or state is None or state.username != identity.username:
            changes: dict[str, Any] = {"telegram_id": identity.id, "username": identity.username}
            if offset is not None:
                changes["next_offset"] = offset
            services = self._services
            await services.insist(lambda: self._state.save(services.now_ms(), **changes))
        return offset

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the server for as long as it takes."""
        tries = 0
        outages, bot_id = self._services.outages, self._spec.bot_id
        while True:
            try:
                answer = await ask()
            except ChannelError as error:
                await self._wait(error, tries)
            else:
                outages.over(bot_id)
                return answer
            tries += 1

    async def _wait(self, error: ChannelError, tries: int) -> None:
        """Note why the server did not answer, and wait. Raises BotInvalid when it knows no such token."""
        if isinstance(error, TokenRejected):
            raise BotInvalid(error.message, error.hint) from error
        self._conditions.set(Condition.POLLING, False, str(error))
        clock, outages = self._services.clock, self._services.outages
        if isinstance(error, RateLimited):
            outages.over(self._spec.bot_id)
            with self._patience.asked(error.message):
                await clock.sleep(max(1.0, error.retry_after_s))
        else:
            outages.note(self._spec.bot_id, str(error), clock.monotonic())
            await clock.sleep(max(delay_s(tries, cap_s=RECONNECT_CAP_S), outages.spread_s()))
