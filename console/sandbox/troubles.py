"""What goes wrong in the demo, on purpose and over and over: an operator sees it happen, and sees it mend.

| bot | trouble |
|---|---|
| courier | its worker fails now and then and is restarted |
| gardener | somebody saves a mistake in its file, and mends it |
| twin | another program polls with its token for a while |
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import anyio

from workers.channels import open_channel
from workers.clock import Clock

if TYPE_CHECKING:
    from config.schema import BotConfig
    from console.sandbox.bots import SandboxBot
    from workers.channels.base import Channel
    from workers.http import Http

FIRST_S: Final = 12.0
"""Peace at the beginning, so that everything is seen healthy first."""
FAILURE_EVERY_S: Final = 150.0
"""Four in ten minutes: one more and the bot would be quarantined."""
MISTAKE_S: Final = (50.0, 25.0)
"""How long the file is good, and how long it is bad."""
RIVAL_S: Final = (70.0, 20.0)
"""How long the token is ours alone, and how long somebody else uses it too."""
MISTAKE: Final = '\n[llm]\ntemperature = "warm"\n'


class Fragile:
    """A channel that can be made to fail: everything else is the channel behind it."""

    def __init__(self, channel: Channel, strained: Callable[[], bool]) -> None:
        self._channel = channel
        self._strained = strained

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    async def poll(self, offset: int | None, *, brief: bool = False) -> list[dict[str, Any]]:
        """Poll as ever, or raise RuntimeError when it is strained."""
        updates = await self._channel.poll(offset, brief=brief)
        if self._strained():
            raise RuntimeError("the courier's bicycle has a flat tyre")
        return updates


class Troubles:
    """The troubles of three bots; `open_channel` is for the fleet they run in. bots: bot_id → its double."""

    def __init__(self, root: Path, bots: dict[str, SandboxBot], clock: Clock, *, pace: float = 1.0) -> None:
        self._bots = bots
        self._clock = clock
        self._pace = pace
        self._strained = False
        self._file = root / "bots" / "gardener.toml"

    def open_channel(self, bot_id: str, config: BotConfig, http: Http, clock: Clock) -> Channel:
        """Open a bot's channel, the courier's a fragile one."""
        channel = open_channel(bot_id, config, http, clock)
        return cast("Channel", Fragile(channel, self._take_strain)) if bot_id == "courier" else channel

    async def run(self) -> None:
        """Make trouble until cancelled."""
        await self._sleep(FIRST_S)
        async with anyio.create_task_group() as group:
            group.start_soon(self._fail)
            group.start_soon(self._mistype)
            group.start_soon(self._rival)

    def _take_strain(self) -> bool:
        """Tell whether the channel is to fail now, once."""
        strained, self._strained = self._strained, False
        return strained

    async def _fail(self) -> None:
        while True:
            self._strained = True
            self._bots["courier"].say(505, "Where is my parcel?", name="Elif")  # wakes the poll
            await self._sleep(FAILURE_EVERY_S)

    async def _mistype(self) -> None:
        good = await anyio.Path(self._file).read_text(encoding="utf-8")
        good_s, bad_s = MISTAKE_S
        while True:
            await anyio.Path(self._file).write_text(good + MISTAKE, encoding="utf-8")
            try:
                await self._sleep(bad_s)
            finally:
                self._file.write_text(good, encoding="utf-8")
            await self._sleep(good_s)

    async def _rival(self) -> None:
        ours_s, shared_s = RIVAL_S
        while True:
            await self._sleep(ours_s / 3)
            fault = self._bots["twin"].faults.fail("getUpdates", "conflict", times=None)
            await self._sleep(shared_s)
            fault.release()
            self._bots["twin"].faults.clear()
            await self._sleep(ours_s)

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds / self._pace)
