"""Running a fleet without a screen: one ready line, signals, the service manager's notices, an exit code."""

from __future__ import annotations

import logging
import os
import signal
import traceback
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Protocol

import anyio
import click
from anyio.abc import TaskStatus

from config.errors import FleetError
from config.vocabulary import Phase
from console import exits
from console.notify import Notifier
from console.output import visible
from console.parts import Told, first_error
from console.runtime import Fleet, open_fleet
from workers.redaction import Redactor

logger = logging.getLogger("botdeck")

STATUS_S: Final = 5.0
"""How often the service manager is told how many bots run."""
NAMED: Final = 10
"""Bots the ready line names."""
CODES: Final = {signal.SIGINT: exits.INTERRUPTED, signal.SIGTERM: exits.TERMINATED}


class Company(Protocol):
    """Who lives beside a fleet: entered before it starts, run once it is ready, left after it has ended."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(self, *how: object) -> None: ...

    async def run(self) -> None:
        """Do what there is to do, until cancelled."""
        ...


def run_fleet(
    root: Path, *, environment: str | None = None, log_format: str | None = None, company: Company | None = None
) -> int:
    """Run the fleet of a folder until a signal ends it; return the exit code. Raises FleetErrors only.

    company lives beside it (the people of the demo).
    """
    options = {"use_uvloop": find_spec("uvloop") is not None}
    try:
        return anyio.run(_live, root, environment, log_format, company, backend_options=options)
    except Exception as error:  # noqa: BLE001 (the boundary of the process: the unexpected becomes a sentence and a code)
        found = first_error(error)
        if isinstance(found, FleetError):
            raise found from None
        if Told.NOTE not in getattr(found, "__notes__", ()):
            # It failed before there was a log: its trace has to be cleaned here, of tokens at least.
            click.echo(Redactor().clean("".join(traceback.format_exception(found))), err=True)
        raise FleetError(f"the fleet failed: {type(found).__name__}", "its trace is above; please report it") from None


async def _live(root: Path, environment: str | None, log_format: str | None, company: Company | None) -> int:
    """Start, stay until a signal, stop."""
    ending = Ending()
    async with anyio.create_task_group() as group:
        await group.start(ending.listen, name="fleet/signals")
        with ending.starting:
            async with AsyncExitStack() as stack:
                if company is not None:
                    await stack.enter_async_context(company)
                fleet = await stack.enter_async_context(
                    open_fleet(root, environment=environment, log_format=log_format)
                )
                ending.fleet = fleet
                await _stay(fleet, ending, company)
        if ending.fleet is not None and ending.fleet.pool.leaked:
            # Tasks that ignore their cancellation would keep the process alive for ever; all that counts is written.
            click.echo("error: some bots could not be cancelled; ending by force", err=True)
            os._exit(ending.code or exits.FAILURE)
        group.cancel_scope.cancel()
    return ending.code


class Ending:
    """What signals mean: the first drains, the second cancels what still runs, the third exits at once."""

    def __init__(self) -> None:
        self.asked = anyio.Event()
        self.starting = anyio.CancelScope()
        self.fleet: Fleet | None = None
        self.code = exits.OK
        self._count = 0

    async def listen(self, *, task_status: TaskStatus[None]) -> None:
        """Take signals until cancelled. SIGHUP (a lost terminal) stops nothing."""
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            task_status.started()
            async for number in signals:
                if number == signal.SIGHUP:
                    logger.info("SIGHUP: the terminal is gone, the fleet runs on")
                else:
                    self.take(number)

    def take(self, number: signal.Signals) -> None:
        """Act on a signal that asks for the end."""
        self._count += 1
        if self._count == 1:
            logger.info("%s: turns in flight are finished; again cuts them short", number.name)
            self.asked.set()
            if self.fleet is None:
                self.starting.cancel()
            return
        self.code = CODES[number]
        if self._count > 2:
            # Whatever hangs, the operator wants it gone; the database survives that as it survives a power cut.
            os._exit(self.code)
        logger.warning("%s again: turns in flight are cancelled; once more exits at once", number.name)
        if self.fleet is not None:
            self.fleet.hurry()


async def _stay(fleet: Fleet, ending: Ending, company: Company | None) -> None:
    notifier = Notifier()
    click.echo(ready_line(fleet))
    notifier.send("READY=1", f"STATUS={summary(fleet)}", f"MAINPID={os.getpid()}")
    async with anyio.create_task_group() as group:
        group.start_soon(_report, fleet, notifier, name="fleet/notify")
        if company is not None:
            group.start_soon(company.run, name="fleet/company")
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
    """Return "2 of 3 bots running"."""
    phases = [status.phase for status in fleet.pool.bots()]
    return f"{phases.count(Phase.RUNNING)} of {len(phases)} bots running"


def ready_line(fleet: Fleet) -> str:
    """Return the one line that says what runs and how to reach it."""
    names = [status.bot_id for status in fleet.pool.bots()]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    bots = f"{len(names)} bot{'' if len(names) == 1 else 's'}: {', '.join(names[:NAMED])}{more}" if names else "no bots"
    return (
        f"ready: fleet {visible(fleet.snapshot.name)} (pid {fleet.owner.pid}), {bots};"
        f" look at it with `botdeck status -C {fleet.place.root}`"
    )
