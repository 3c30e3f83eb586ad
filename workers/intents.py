"""What an operator may ask of a bot. Every intent is written down before it is acted upon."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from config.vocabulary import Desired, Phase
from store.events import OperatorActed
from workers.errors import NoSuchBot, WrongPhase
from workers.keeper import Keeper

if TYPE_CHECKING:
    from workers.services import Services


class Intents:
    """The operations on single bots. actor says who asks (a program or a person), reason why, for the others.

    An operation returns once the intent is durable and the bot knows of it, not when it has followed.
    """

    def __init__(self, services: Services) -> None:
        self.closing = False
        """The fleet is shutting down: nothing is asked of it any more."""
        self._services = services
        self._keepers: dict[str, Keeper] = {}

    async def start(self, bot_id: str, *, actor: str, reason: str = "") -> None:
        """Want a bot to run; what is held against it is cleared. Raises NoSuchBot, WrongPhase, StoreError."""
        keeper = self._runnable(bot_id, "started")
        await self._intend(keeper, "start", actor, reason, desired=Desired.RUN.value)
        keeper.want(Desired.RUN, actor, reason)

    async def stop(self, bot_id: str, *, actor: str, reason: str = "") -> None:
        """Want a bot to rest; turns in flight are finished. Raises NoSuchBot, StoreError."""
        keeper = self._keeper(bot_id)
        await self._intend(keeper, "stop", actor, reason, desired=Desired.STOP.value)
        keeper.want(Desired.STOP, actor, reason)

    async def restart(self, bot_id: str, *, actor: str, reason: str = "") -> None:
        """Drain a bot and start it anew; one at rest is started. Raises NoSuchBot, WrongPhase, StoreError."""
        keeper = self._runnable(bot_id, "restarted")
        await self._intend(keeper, "restart", actor, reason, desired=Desired.RUN.value)
        keeper.restart(actor, reason)

    async def pause(self, bot_id: str, *, actor: str, reason: str = "") -> None:
        """Let a bot take no more messages while it stays ready. Raises NoSuchBot, WrongPhase, StoreError."""
        keeper = self._runnable(bot_id, "paused")
        await self._intend(keeper, "pause", actor, reason, paused=True)
        keeper.pause(True)

    async def resume(self, bot_id: str, *, actor: str, reason: str = "") -> None:
        """Let a paused bot take messages again. Raises NoSuchBot, WrongPhase, StoreError."""
        keeper = self._runnable(bot_id, "resumed")
        await self._intend(keeper, "resume", actor, reason, paused=False)
        keeper.pause(False)

    async def reset(self, bot_id: str, *, actor: str, reason: str = "") -> None:
        """Clear what is held against a bot: failures, back-off, quarantine, refusal. Raises NoSuchBot, StoreError."""
        keeper = self._keeper(bot_id)
        await self._intend(keeper, "reset", actor, reason, failures=(), backoff_level=0, retry_at_ms=None)
        keeper.acquit()

    def _runnable(self, bot_id: str, asked: str) -> Keeper:
        keeper = self._keeper(bot_id)
        if keeper.record.spec is None:
            raise WrongPhase(f"bot {bot_id} cannot be {asked}: {keeper.record.config_error}", "put its file right")
        if keeper.record.phase is Phase.DISABLED:
            raise WrongPhase(f"bot {bot_id} cannot be {asked}: it is disabled", "set `enabled = true` in its file")
        return keeper

    async def _intend(self, keeper: Keeper, action: str, actor: str, reason: str, **columns: Any) -> None:
        """Write an intent down before it is acted upon: it must outlive whatever it causes."""
        if self.closing:
            raise WrongPhase("the fleet is shutting down", "ask again when it runs")
        if "desired" in columns:
            columns |= {"desired_actor": actor, "desired_reason": reason}
        await self._services.store.partition(keeper.bot_id).state.save(self._services.now_ms(), **columns)
        keeper.record.publish(OperatorActed, action=action, actor=actor, reason=reason)

    def _keeper(self, bot_id: str) -> Keeper:
        found = self._keepers.get(bot_id)
        if found is None:
            near = get_close_matches(bot_id, self._keepers, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`botdeck status` lists the bots"
            raise NoSuchBot(f"there is no bot {bot_id!r}", hint)
        return found
