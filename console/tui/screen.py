"""What every screen of the console has in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.events import Mount
from textual.screen import Screen

if TYPE_CHECKING:
    from textual.dom import DOMNode

    from console.tui.app import ConsoleApp


def console_of(node: DOMNode) -> ConsoleApp:
    """Return the app a widget or a screen belongs to, as what it is."""
    return cast("ConsoleApp", node.app)


class ConsoleScreen(Screen[Any]):
    """A screen that is brought up to date on the app's tick and knows which bots an action on it concerns."""

    @property
    def console(self) -> ConsoleApp:
        """The app, as what it is."""
        return console_of(self)

    IS: ClassVar[str] = ""
    """The app's action that opens this screen; left out while one is on it."""
    composed = False
    """Whether the widgets are there: a tick may come before."""

    def _on_mount(self, event: Mount) -> None:
        super()._on_mount(event)
        self.composed = True

    def on_tick(self) -> None:
        """Bring the screen up to date: four times a second when something changed, once a second otherwise."""

    def grey(self) -> None:
        """Draw what is old as old while there is no link. A class set anew would be looked up anew for every widget."""
        lost = not self.console.link.live and bool(self.console.model.rows)
        if lost != self.has_class("-lost"):
            self.set_class(lost, "-lost")

    def targets(self) -> list[str]:
        """Return the bots an action given by key concerns."""
        return []

    def where(self) -> str:
        """Return what this screen shows, in a word or two, for the header."""
        return ""

    def person(self) -> str:
        """Return the number of the person the keys are at; empty where there is none."""
        return ""
