"""Running a fleet until it is told to end: what is shown of it, the service manager's notices, an exit code."""

from __future__ import annotations

import os
import traceback
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import anyio
import click

from config.errors import FleetError
from config.vocabulary import Phase
from console import exits
from console.ending import Ending
from console.notify import Notifier
from console.output import visible
from console.parts import Told, first_error
from workers.channels import open_channel
from workers.redaction import Redactor

if TYPE_CHECKING:
    from config.schema import BotConfig
    from console.runtime import Fleet
    from workers.channels.base import Channel
    from workers.clock import Clock
    from workers.http import Http

STATUS_S: Final = 5.0
"""How often the service manager is told how many bots run."""
NAMED: Final = 10
"""Bots the ready line names."""


class Company(Protocol):
    """Who lives beside a fleet: entered before it starts, run once it is ready, left after it has ended."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *how: object) -> None: ...

    def open_channel(self, bot_id: str, config: BotConfig, http: Http, clock: Clock) -> Channel:
        """Open a bot's channel, as `workers.channels.open_channel` does."""
        ...

    async def run(self) -> None:
        """Do what there is to do, until cancelled."""
        ...


class Front(Protocol):
    """What an operator sees of a fleet. on_screen: it has the terminal, so that log lines are not to be printed."""

    on_screen: bool

    def up(self, ending: Ending) -> AbstractAsyncContextManager[object]:
        """Come up before the fleet does; the fleet starts, lives and ends within the block."""
        ...

    async def show(self, fleet: Fleet, ending: Ending) -> None:
        """Show the fleet until there is nothing more to show or the end is asked for; may ask for it.

        The fleet goes on when this returns without having asked for the end. Raises nothing.
        """
        ...


class ReadyLine:
    """One line on stdout says what runs and how to reach it."""

    on_screen = False

    def up(self, ending: Ending) -> AbstractAsyncContextManager[object]:
        """Show nothing yet."""
        return nullcontext()

    async def show(self, fleet: Fleet, ending: Ending) -> None:
        """Print the line."""
        click.echo(ready_line(fleet))


def run_fleet(
    root: Path,
    *,
    environment: str | None = None,
    log_format: str | None = None,
    company: Company | None = None,
    front: Front | None = None,
) -> int:
    """Run the fleet of a folder until it is asked to end; return the exit code. Raises FleetErrors only.

    company lives beside it (the people of the demo); front is what the operator sees of it.
    """
    options = {"use_uvloop": find_spec("uvloop") is not None}
    try:
        return anyio.run(_live, root, environment, log_format, company, front or ReadyLine(), backend_options=options)
    except Exception as error:  # noqa: BLE001 (the boundary of the process: the unexpected becomes a sentence and a code)
        found = first_error(error)
        if isinstance(found, FleetError):
            raise found from None
        if Told.NOTE not in getattr(found, "__notes__", ()):
            # It failed before there was a log: its trace has to be cleaned here, of tokens at least.
            click.echo(Redactor().clean("".join(traceback.format_exception(found))), err=True)
        raise FleetError(f"the fleet failed: {type(found).__name__}", "its trace is above; please report it") from None


async def _live(
    root: Path, environment: str | None, log_format: str | None, company: Company | None, front: Front
) -> int:
    """Start, stay until a signal, stop."""
    ending = Ending()
    async with anyio.create_task_group() as group:
        await group.start(ending.listen, name="fleet/signals")
        with ending.starting:
            async with front.up(ending), AsyncExitStack() as stack:
                # What a fleet needs takes half a second to import: a screen is there by now, and stays alive.
                runtime = await anyio.to_thread.run_sync(import_module, "console.runtime")
                if company is not None:
                    await stack.enter_async_context(company)
                opening = runtime.open_fleet(
                    root,
                    environment=environment,
                    log_format=log_format,
                    channels=company.open_channel if company is not None else open_channel,
                    quiet=front.on_screen,
                )
                fleet: Fleet = await stack.enter_async_context(opening)
                ending.fleet = fleet
                await _stay(fleet, ending, company, front)
        if ending.fleet is not None and ending.fleet.leaks:
            # Tasks that ignore their cancellation would keep the process alive for ever; all that counts is written.
            click.echo("error: some bots or tools could not be cancelled; ending by force", err=True)
            os._exit(ending.code or exits.FAILURE)
        group.cancel_scope.cancel()
    return ending.code


async def _stay(fleet: Fleet, ending: Ending, company: Company | None, front: Front) -> None:
    notifier = Notifier()
    notifier.send("READY=1", f"STATUS={summary(fleet)}", f"MAINPID={os.getpid()}")
    async with anyio.create_task_group() as group:
        group.start_soon(_report, fleet, notifier, name="fleet/notify")
        if company is not None:
            group.start_soon(company.run, name="fleet/company")
        await front.show(fleet, ending)
        await ending.asked.wait()
        group.cancel_scope.cancel()
    notifier.send("STOPPING=1", "STATUS=draining")


async def _report(fleet: Fleet, notifier: Notifier) -> None:
    """Tell the service manager, from the loop itself, that the loop is alive and how many bots run."""
    if not notifier.listening:
        return
    beat_s = min(STATUS_S, notifier.watchdog_s or STATUS_S)
    while True:
        await fleet.clock.sleep(beat_s)
        notifier.send("WATCHDOG=1", f"STATUS={summary(fleet)}")


def summary(fleet: Fleet) -> str:
    """Return "2 of 3 bots running", and that the database refuses writes while it does."""
    phases = [status.phase for status in fleet.pool.bots()]
    trouble = "; the database takes no writes" if fleet.store.fault is not None else ""
    return f"{phases.count(Phase.RUNNING)} of {len(phases)} bots running{trouble}"


def ready_line(fleet: Fleet) -> str:
    """Return the one line that says what runs and how to reach it."""
    names = [status.bot_id for status in fleet.pool.bots()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    bots = f"{len(names)} bot{'' if len(names) == 1 else 's'}: {', '.join(names[:NAMED])}{more}" if names else "no bots"
    return (
        f"ready: fleet {visible(fleet.snapshot.name)} (pid {fleet.owner.pid}), {bots};"
        f" look at it with `botdeck status -C {fleet.place.root}`"
    )
