"""Toasts for what needs the operator, as it happens; a few of them, then only how many more there were."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final, cast

from config.errors import FleetError
from config.vocabulary import FLEET
from console.control import EventQuery
from console.tui import words
from console.tui.told import told

if TYPE_CHECKING:
    from console.control import EventLine
    from console.tui.app import ConsoleApp

ALARMING: Final = (
    "Quarantined", "BotInvalid", "ConfigRejected", "TokenInUse", "StoreFaulted", "StoreRecovered", "LoopStalled", "FleetHeld",
    "FleetReleased", "NetworkLost", "NetworkRegained", "FellBehind",
)  # fmt: skip
GOOD: Final = frozenset({"StoreRecovered", "FleetReleased", "NetworkRegained"})
AGAIN_S: Final = 2.0
WINDOW_S: Final = 10.0
SAME_S: Final = 600.0
"""The same trouble of the same bot is told no sooner again: some repeat every minute."""
AT_ONCE: Final = 3
"""Toasts within WINDOW_S; more would hide the screen."""


class Alarms:
    """Follows the fleet's events for those that need somebody."""

    def __init__(self, app: ConsoleApp) -> None:
        self._app = app
        self._told: deque[float] = deque(maxlen=AT_ONCE)
        self._told_of: dict[tuple[str, str], float] = {}
        self._held_back = 0

    async def run(self) -> None:
        """Tell until cancelled; begin again whenever the fleet could not be heard."""
        query = EventQuery(tail=0, kinds=ALARMING)
        while True:
            try:
                async with aclosing(cast("Any", self._app.control.follow_events(query))) as events:
                    async for event in events:
                        self.take(event)
            except FleetError:
                pass  # the link says that the fleet is gone
            await self._app.clock.sleep(AGAIN_S)

    def take(self, event: EventLine) -> None:
        """Tell an event, unless the same was told of the bot not long ago; count it when there were several just now."""
        now, what = self._app.clock.monotonic(), (event["bot_id"], event["kind"])
        if now - self._told_of.get(what, -SAME_S) < SAME_S:
            return
        self._told_of[what] = now
        if self._crowded(now):
            self._held_back += 1
            return
        self._told.append(now)
        bot = "" if event["bot_id"] == FLEET else f"{event['bot_id']}: "
        text = words.clip(bot + told(event), 300)
        if event["kind"] in GOOD:
            self._app.say(text)
        else:
            self._app.complain(text)

    def settle(self) -> None:
        """Tell how many were held back, once there is room for it. Called now and then."""
        now = self._app.clock.monotonic()
        if self._held_back and not self._crowded(now):
            self._told.append(now)
            self._app.complain(f"{self._held_back} more things need somebody", "press e for what happened")
            self._held_back = 0

    def _crowded(self, now: float) -> bool:
        return len(self._told) == AT_ONCE and now - self._told[0] < WINDOW_S
