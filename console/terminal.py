"""The console in a terminal: over the fleet of this process, or attached to one that runs elsewhere.

Whatever becomes of the console, the bots run on: it may be left (detached), lose its terminal (SIGHUP), or fail.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click

from config.errors import FleetError
from console import exits
from console.ending import Ending
from console.foreground import Foreground, in_front, interactive
from console.headless import ReadyLine, ready_line
from console.output import visible
from console.place import Place, find
from console.spout import Spout

if TYPE_CHECKING:
    from console.runtime import Fleet
    from console.tui.app import ConsoleApp

logger = logging.getLogger("botdeck")


class Terminal:
    """The console over a fleet of this process; a Front of `run_fleet`.

    foreground is the terminal; may_detach says that the fleet can go on without it.
    """

    on_screen = True

    def __init__(self, root: Path, foreground: Foreground, *, may_detach: bool = True) -> None:
        self._root = root
        self._foreground = foreground
        self._may_detach = may_detach
        self._left = anyio.Event()
        self._leave: Any = None

    @asynccontextmanager
    async def up(self, ending: Ending) -> AsyncIterator[None]:
        """As Front.up: the console is on the screen, without a fleet yet. Leaving it by then gives the start up."""
        gc.disable()  # what is imported now stays: looking through it for garbage is a tenth of the way to the first picture
        from console.tui.app import ConsoleApp
        from console.tui.memory import Memory

        self._app = ConsoleApp(attached=False, may_detach=self._may_detach, memory=Memory.of(self._root))
        async with anyio.create_task_group() as group:
            group.start_soon(self._run, ending, name="console")
            for event in (ending.asked, ending.hung_up):
                group.start_soon(_leave_when, self._app, event, name="console/leave")
            try:
                await self._app.painted.wait()
            finally:
                gc.enable()
            try:
                yield
            finally:
                # Whatever ended the fleet is told on a terminal that is whole again.
                self._app.exit()
                group.cancel_scope.cancel()

    async def _run(self, ending: Ending) -> None:
        self._leave = await self._app.run_async()
        self._app.painted.set()
        self._left.set()
        if ending.fleet is None and not ending.hung_up.is_set():
            ending.asked.set()
            ending.starting.cancel()

    async def show(self, fleet: Fleet, ending: Ending) -> None:
        """As Front.show: until the console is left, fails, or loses its terminal, or the end is asked for."""
        from console.tui.app import Leave

        self._app.use(fleet.control)
        await self._left.wait()
        fleet.logbook.quiet = False
        if ending.hung_up.is_set() and self._may_detach:
            self._foreground.let_go()
        elif ending.hung_up.is_set():
            ending.asked.set()  # it was for somebody to look at, and nobody does any more
        elif ending.asked.is_set() or self._leave is Leave.STOP:
            await _say("stopping: turns in flight are finished; Ctrl-C cuts them short")
            ending.asked.set()
        elif self._leave is Leave.DETACH:
            await _say(_detached(fleet))
            self._foreground.let_go()
        else:
            await self._tell_of_failure(self._app, fleet)

    async def _tell_of_failure(self, app: ConsoleApp, fleet: Fleet) -> None:
        """Say that the console is gone and the bots are not, and how to get it back."""
        logger.error("the console failed; the bots run on", exc_info=app.failure)
        back = f"the console failed, the bots run on; `botdeck attach -C {fleet.place.root}` opens it again"
        await _say(f"{back}\n{ready_line(fleet)}")


async def _say(text: str) -> None:
    """Print lines while bots run: a terminal that takes nothing is given a moment, then they are left out."""
    await anyio.to_thread.run_sync(_print, f"{text}\n")


def _print(text: str) -> None:
    with Spout(sys.__stdout__.fileno() if sys.__stdout__ else 1) as out:
        out.write(text)


async def _leave_when(app: ConsoleApp, event: anyio.Event) -> None:
    await event.wait()
    app.exit()


def _detached(fleet: Fleet) -> str:
    root = fleet.place.root
    return (
        f"detached: fleet {visible(fleet.snapshot.name)} runs on (pid {os.getpid()});"
        f" `botdeck attach -C {root}` opens the console, `kill {os.getpid()}` ends it"
    )


# --- run -------------------------------------------------------------------------------------------------------


def run(root: Path, *, environment: str | None, log_format: str | None) -> int:
    """Run the fleet of a folder under a console where a person sits at the terminal, else headless.

    Returns the exit code. Raises FleetErrors.
    """
    from console.headless import run_fleet

    if not interactive():
        return run_fleet(root, environment=environment, log_format=log_format, front=ReadyLine())
    return in_front(lambda foreground: _run_behind(foreground, root, environment, log_format))


def _run_behind(foreground: Foreground, root: Path, environment: str | None, log_format: str | None) -> int:
    from console.errors import FleetOwned
    from console.headless import run_fleet

    chosen = None if _is_fleet(root) else _welcome(root)
    if chosen is not None:
        return chosen
    front = Terminal(root, foreground)
    try:
        return run_fleet(root, environment=environment, log_format=log_format, front=front)
    except FleetOwned as error:
        click.echo(f"{error.message}.", err=True)
        if not click.confirm("Attach to it?", default=True, err=True):
            return exits.OWNED
        return _attach_behind(root, environment, readonly=False)


def _is_fleet(root: Path) -> bool:
    """Tell whether there is anything of a fleet in a folder; a folder that is not there is told of elsewhere."""
    return not root.is_dir() or (root / "fleet.toml").exists() or (root / "bots").exists()


def _welcome(root: Path) -> int | None:
    """Ask what to do in a folder without a fleet; return an exit code, None when there is a fleet to run now."""
    from console.tui.welcome import Choice, WelcomeApp

    choice = WelcomeApp(root).run()
    if choice is Choice.CREATE:
        from console.commands.init import write_fleet

        for path in write_fleet(root):
            click.echo(f"wrote {path}")
        return None
    if choice is Choice.DEMO:
        from console.commands.demo import folder
        from console.demo import run_demo

        with folder(None) as made:
            return run_demo(made, front=Terminal(made, Foreground(None), may_detach=False))
    return exits.OK


def demo(root: Path, *, pace: float, port: int, screen: bool = True) -> int:
    """Run the demo under a console where a person sits at the terminal, else (or without screen) as lines.

    Raises FleetErrors.
    """
    from console.demo import run_demo

    if not (screen and interactive()):
        return run_demo(root, pace=pace, port=port)
    return in_front(lambda front: run_demo(root, pace=pace, port=port, front=Terminal(root, front, may_detach=False)))


# --- attach ----------------------------------------------------------------------------------------------------


def attach(root: Path, environment: str | None, *, readonly: bool) -> int:
    """Open the console on a fleet that runs; return the exit code. Leaving it stops nothing. Raises FleetErrors."""
    in_browser = bool(os.environ.get("TEXTUAL_DRIVER"))
    if in_browser:
        return _attach_behind(root, environment, readonly=readonly)
    if not interactive():
        raise FleetError(
            "the console needs a terminal (stdin, stdout, and a TERM that is not dumb)",
            "`botdeck status`, `botdeck watch` and `botdeck logs` do without",
        )
    return in_front(lambda _: _attach_behind(root, environment, readonly=readonly))


def _attach_behind(root: Path, environment: str | None, *, readonly: bool) -> int:
    options = {"use_uvloop": find_spec("uvloop") is not None}
    return anyio.run(_attached, find(root, environment), readonly, backend_options=options)


async def _attached(place: Place, readonly: bool) -> int:
    """Show the console until it is left, fails, or is told to end by a signal."""
    from console.attach import connect

    control = await connect(place, readonly=readonly)
    from console.tui.app import ConsoleApp
    from console.tui.memory import Memory

    ending = Ending()
    app = ConsoleApp(control, attached=True, readonly=readonly, memory=Memory.of(place.root))
    async with anyio.create_task_group() as group:
        await group.start(ending.listen, name="console/signals")
        for event in (ending.asked, ending.hung_up):
            group.start_soon(_leave_when, app, event, name="console/leave")
        await app.run_async()
        group.cancel_scope.cancel()
    if app.failure is not None:
        _tell_of_attached_failure(app.failure, place)
        return exits.FAILURE
    return exits.OK


def _tell_of_attached_failure(failure: BaseException, place: Place) -> None:
    """Print what failed, without what a trace may hold: an attached console has no log of its own."""
    import traceback

    from workers.redaction import Redactor

    click.echo(Redactor().clean("".join(traceback.format_exception(failure))), err=True)
    click.echo(
        f"error: the console failed: {type(failure).__name__}; the fleet is not touched by that\n"
        f"hint: `botdeck attach -C {place.root}` opens it again",
        err=True,
    )
