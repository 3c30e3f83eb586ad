"""The demo as one process: an embedded Telegram, the fleet that polls it, people who write, their words on stdout."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import click

from console.headless import run_fleet
from console.sandbox.demo import Demo


class Guests:
    """The demo's people and their Telegram, as company of a fleet."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo

    async def __aenter__(self) -> Self:
        await self._demo.__aenter__()
        click.echo(f"demo: an embedded Telegram at {self._demo.sandbox.url}/ (open it to write to the bots yourself)")
        return self

    async def __aexit__(self, *how: object) -> None:
        await self._demo.__aexit__(None, None, None)
        click.echo("demo: over")

    async def run(self) -> None:
        """Let people talk until cancelled."""
        await self._demo.run()


def run_demo(root: Path, *, pace: float = 1.0, port: int = 0) -> int:
    """Run the demo in a folder until a signal ends it; return the exit code. Raises FleetError."""
    return run_fleet(root, company=Guests(Demo(root, pace=pace, port=port, show=click.echo)))
