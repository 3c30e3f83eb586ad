"""What bots spent, and what is known of the people they speak with: read by the operator, and put right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from console.answers import FactRow, UsageRow
from console.base import Within
from console.control import matching
from console.errors import BadRequest
from store.profiles import Fact, FactRefused, checked
from store.usage import BY, QUARTER_MS, UsageRows, UsageSum
from workers.prices import NANO

MOST: Final = 1_000
"""Rows of one bot: the chats, people and models that took most."""
LONGEST_DAYS: Final = 3_660


class Accounts(Within):
    """Usage and profiles of all bots."""

    async def usage(self, selectors: Sequence[str], *, by: str, days: int) -> list[UsageRow]:
        """As Control.usage."""
        check(by, days)
        known, fleet, rows = self._bot_ids(), self._fleet, list[UsageRow]()
        for bot_id in dict.fromkeys(b for selector in selectors or ("*",) for b in matching(selector, known)):
            spec = fleet.spec(bot_id)
            zone = spec.config.time_zone if spec else ""
            rows += await spent(fleet.store.partition(bot_id).usage, bot_id, by, days, zone, fleet.clock.now())
        return rows

    async def profile(
        self, bot_id: str, user_id: str, *, changes: Mapping[str, str | None] | None = None, actor: str = ""
    ) -> list[FactRow]:
        """As Control.profile."""
        partition, client_id = self._fleet.store.partition(self._known(bot_id)), self._client(bot_id)
        if changes:
            self._refuse_when_closing()
            _check_facts(changes)
            await self._change(bot_id, client_id, user_id, changes, actor)
        return [_fact_row(fact) for fact in await partition.profiles.facts(client_id, user_id)]

    async def _change(
        self, bot_id: str, client_id: str, user_id: str, changes: Mapping[str, str | None], actor: str
    ) -> None:
        profiles, now_ms = self._fleet.store.partition(bot_id).profiles, int(self._fleet.clock.now() * 1000)
        try:
            for fact in [fact for fact, value in changes.items() if value is None]:
                await profiles.delete(client_id, user_id, fact)
            for fact, value in changes.items():
                if value is not None:
                    await profiles.set(client_id, user_id, fact, value, actor, now_ms)
        except FactRefused as error:
            raise BadRequest(error.message) from None
        self._note("profile", bot_id, actor, f"of {user_id}")

    def _client(self, bot_id: str) -> str:
        spec = self._fleet.spec(bot_id)
        return spec.config.client_id if spec else ""


def check(by: str, days: int) -> None:
    """Raise BadRequest for what usage is not summed by."""
    if by not in BY:
        raise BadRequest(f"usage is summed by {', '.join(BY)}, not by {by!r}")
    if not 1 <= days <= LONGEST_DAYS:
        raise BadRequest(f"a number of days from 1 to {LONGEST_DAYS}")


def _check_facts(changes: Mapping[str, str | None]) -> None:
    try:
        for fact, value in changes.items():
            checked(fact, "x" if value is None else value)
    except FactRefused as error:
        raise BadRequest(error.message) from None


async def spent(
    usage: UsageRows, bot_id: str, by: str, days: int, zone: str, now: float, client_id: str | None = None
) -> list[UsageRow]:
    """Return what a bot spent in the last days of its time zone, today among them: days in order, else by tokens.

    client_id: for this client only.
    """
    place = ZoneInfo(zone) if zone else UTC
    today = datetime.fromtimestamp(now, tz=place).date()
    since = datetime.combine(today - timedelta(days=days - 1), time(), tzinfo=place)
    sums = await usage.sums(by, int(since.timestamp() * 1000), client_id=client_id)
    if by == "day":
        sums = _days(sums, place)
    else:
        sums.sort(key=lambda one: one.input_tokens + one.output_tokens, reverse=True)
    return [_row(bot_id, one) for one in sums[:MOST]]


def _days(quarters: Sequence[UsageSum], place: tzinfo) -> list[UsageSum]:
    """Return quarter hours added up to days."""
    days: dict[str, UsageSum] = {}
    for quarter in sorted(quarters, key=lambda one: int(one.key)):
        at = datetime.fromtimestamp(int(quarter.key) * QUARTER_MS / 1000, tz=place)
        day = f"{at:%Y-%m-%d}"
        days[day] = _sum(days[day], quarter) if day in days else replace(quarter, key=day)
    return list(days.values())


def _sum(one: UsageSum, other: UsageSum) -> UsageSum:
    known = [cost for cost in (one.cost_nano, other.cost_nano) if cost is not None]
    return UsageSum(
        one.key,
        one.calls + other.calls,
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_tokens + other.cached_tokens,
        sum(known) if known else None,
        one.unpriced + other.unpriced,
    )


def _row(bot_id: str, one: UsageSum) -> UsageRow:
    return {
        "bot_id": bot_id,
        "key": one.key,
        "calls": one.calls,
        "tokens_in": one.input_tokens,
        "tokens_out": one.output_tokens,
        "tokens_cached": one.cached_tokens,
        "cost": None if one.cost_nano is None else one.cost_nano / NANO,
        "unpriced": one.unpriced,
    }


def _fact_row(fact: Fact) -> FactRow:
    return {"fact": fact.fact, "value": fact.value, "by": fact.by, "updated_at": fact.updated_ms / 1000}
