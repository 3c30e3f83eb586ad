"""The demo as one process: an embedded Telegram, the fleet that polls it, people who write, their words on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import click

from console.headless import Front, run_fleet
from console.sandbox.demo import Demo

if TYPE_CHECKING:
    from config.schema import BotConfig
    from workers.channels.base import Channel
    from workers.clock import Clock
    from workers.http import Http


class Guests:
    """The demo's people and their Telegram, as company of a fleet. quiet: a console shows what happens."""

    def __init__(self, demo: Demo, *, quiet: bool) -> None:
        self._demo = demo
        self._quiet = quiet

    async def __aenter__(self) -> Self:
        await self._demo.__aenter__()
        if not self._quiet:
            click.echo(
                f"demo: an embedded Telegram at {self._demo.sandbox.url}/ (open it to write to the bots yourself)"
            )
        return self

    async def __aexit__(self, *how: object) -> None:
        await self._demo.__aexit__(None, None, None)
        click.echo("demo: over")

    def open_channel(self, bot_id: str, config: BotConfig, http: Http, clock: Clock) -> Channel:
        """As Company.open_channel: some of the demo's bots have their troubles."""
        return self._demo.open_channel(bot_id, config, http, clock)

    async def run(self) -> None:
        """Let people talk until cancelled."""
        await self._demo.run()


def run_demo(root: Path, *, pace: float = 1.0, port: int = 0, front: Front | None = None) -> int:
    """Run the demo in a folder until it is left; return the exit code. front: as in `run_fleet`. Raises FleetError."""
    show = _silent if front else click.echo
    return run_fleet(
        root, company=Guests(Demo(root, pace=pace, port=port, show=show), quiet=front is not None), front=front
    )


def _silent(line: str) -> None:
    """Show nothing: the console does."""
