"""Who may speak to a bot, as its operator decides while it runs: codes made, people let in and shut out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from console.answers import AccessAnswer, Invitation
from console.base import Within
from console.errors import BadRequest
from store.access import BLOCKED, PAIRED
from workers.reception.pairing import digest_of, new_code

LONGEST_MINUTES: Final = 7 * 24 * 60
LARGEST: Final = 2**52 - 1
"""Numbers of people at Telegram have 52 bits."""
MOST: Final = 1_000
"""People told of, those decided about last."""


class Gate(Within):
    """The people of all bots."""

    async def pair(self, bot_id: str, *, minutes: float, actor: str) -> Invitation:
        """As Control.pair."""
        self._refuse_when_closing()
        partition = self._fleet.store.partition(self._known(bot_id))
        if not 0 < minutes <= LONGEST_MINUTES:
            raise BadRequest(f"a code lives for at most {LONGEST_MINUTES} minutes", "--minutes 10 is what most need")
        code, now_ms = new_code(), int(self._fleet.clock.now() * 1000)
        expires_ms = now_ms + int(minutes * 60_000)
        await partition.access.new_code(digest_of(bot_id, code), expires_ms, actor, now_ms)
        self._note("pair", bot_id, actor, f"a code for {minutes:g} minutes")
        return {"bot_id": bot_id, "code": code, "expires_at": expires_ms / 1000, "mode": self._mode(bot_id)}

    async def access(
        self,
        bot_id: str,
        *,
        allow: Sequence[int] = (),
        block: Sequence[int] = (),
        remove: Sequence[int] = (),
        actor: str = "",
    ) -> AccessAnswer:
        """As Control.access."""
        access = self._fleet.store.partition(self._known(bot_id)).access
        if allow or block or remove:
            self._refuse_when_closing()
            _check(allow, block, remove)
            now_ms = int(self._fleet.clock.now() * 1000)
            for user_id, state in [*((u, PAIRED) for u in allow), *((u, BLOCKED) for u in block)]:
                await access.set(user_id, state, "", actor, now_ms)
                self._note("allow" if state == PAIRED else "block", bot_id, actor, f"user {user_id}")
            for user_id in remove:
                if await access.remove(user_id):
                    self._note("forget", bot_id, actor, f"user {user_id}")
        return await self._answer(bot_id)

    async def _answer(self, bot_id: str) -> AccessAnswer:
        access, spec = self._fleet.store.partition(bot_id).access, self._fleet.spec(bot_id)
        section = spec.config.access if spec else None
        return {
            "bot_id": bot_id,
            "mode": self._mode(bot_id),
            "allow": list(section.allow) if section else [],
            "block": list(section.block) if section else [],
            "admins": list(section.admins) if section else [],
            "people": [
                {"user_id": row.user_id, "state": row.state, "name": row.name, "by": row.by, "at": row.at_ms / 1000}
                for row in await access.all(MOST)
            ],
            "open_codes": await access.open_codes(int(self._fleet.clock.now() * 1000)),
        }

    def _mode(self, bot_id: str) -> str:
        spec = self._fleet.spec(bot_id)
        return spec.config.access.mode if spec else ""


def _check(*lists: Sequence[int]) -> None:
    """Raise BadRequest for numbers that are nobody's, and for somebody named twice."""
    named = [user_id for listed in lists for user_id in listed]
    if not all(0 < user_id <= LARGEST for user_id in named):
        raise BadRequest("a person's number is above 0", "whoever is turned away is told their own")
    if len(set(named)) < len(named):
        raise BadRequest("somebody is named twice", "say one thing of each person")
