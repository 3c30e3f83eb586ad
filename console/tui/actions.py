"""Every action of the operator, stated once: keys, palette, help and dialogs are made from this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from textual.binding import Binding

from config.vocabulary import Phase
from console.control import Action


class Confirm(Enum):
    """When somebody is asked first."""

    NEVER = "never"
    SEVERAL = "several"
    """When it concerns more than one bot."""
    ALWAYS = "always"
    TYPED = "typed"
    """The bot's id is to be typed: data will be gone."""


class Scope(Enum):
    """What an action is done to."""

    BOTS = "bots"
    BOT = "bot"
    FLEET = "fleet"


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """One action. Exactly one of `order` (a steer), `deed` (a name in deeds.py) and `opens` ("module:Class") is given.

    will is what it says before ("restart" → "restarting …"), did afterwards; consequence is what the dialog says of
    it; capability is what the fleet must be able to do.
    """

    id: str
    key: str
    title: str
    help: str
    scope: Scope = Scope.BOTS
    order: Action | None = None
    deed: str = ""
    opens: str = ""
    will: str = ""
    did: str = ""
    consequence: str = ""
    confirm: Confirm = Confirm.NEVER
    arrives: frozenset[Phase] = frozenset()
    capability: str = ""


_RUNNING: Final = frozenset({Phase.RUNNING})
_STOPPED: Final = frozenset({Phase.STOPPED, Phase.DISABLED})

ACTIONS: Final = (
    OperatorAction(
        "bot.start", "o", "Start", "let it run again after a stop", order=Action.START, will="starting",
        did="started", arrives=_RUNNING, capability="start",
    ),
    OperatorAction(
        "bot.stop", "x", "Stop", "finish the turns in work, then rest until a start", order=Action.STOP,
        will="stopping", did="stopped", arrives=_STOPPED, capability="stop", confirm=Confirm.ALWAYS,
        consequence="Turns in work are finished. No message is taken until a start, also after a restart of the fleet.",
    ),
    OperatorAction(
        "bot.restart", "R", "Restart", "finish the turns in work, then begin anew", order=Action.RESTART,
        will="restarting", did="restarted", arrives=_RUNNING, capability="restart", confirm=Confirm.SEVERAL,
        consequence="Turns in work are finished, nothing is lost.",
    ),
    OperatorAction(
        "bot.pause", "p", "Pause", "take messages, but answer none until a resume", order=Action.PAUSE,
        will="pausing", did="paused", capability="pause", confirm=Confirm.SEVERAL,
        consequence="Messages are kept and answered after a resume.",
    ),
    OperatorAction(
        "bot.resume", "P", "Resume", "answer again after a pause", order=Action.RESUME, will="resuming",
        did="resumed", capability="resume",
    ),
    OperatorAction(
        "bot.reset", "z", "Reset quarantine", "forget the failures counted and try at once", order=Action.RESET,
        will="resetting", did="reset", capability="reset",
    ),
    OperatorAction(
        "fleet.reload", "r", "Reload files", "read the folder anew now", scope=Scope.FLEET, deed="reload",
        will="reading the files", capability="reload",
    ),
    OperatorAction(
        "bot.edit", "E", "Edit in $EDITOR", "change its file in your own editor", scope=Scope.BOT,
        deed="edit_outside", capability="edit",
    ),
    OperatorAction(
        "bot.edit_here", "i", "Edit here", "change its file in the built-in editor", scope=Scope.BOT,
        opens="console.tui.screens.edit:EditScreen", capability="edit",
    ),
    OperatorAction(
        "fleet.edit", "F", "Edit fleet.toml outside", "change the file all bots share in your own editor",
        scope=Scope.FLEET, deed="edit_fleet", capability="edit_fleet",
    ),
    OperatorAction(
        "fleet.edit_here", "I", "Edit fleet.toml here", "change the file all bots share in the built-in editor",
        scope=Scope.FLEET, opens="console.tui.screens.edit:FleetEditScreen", capability="edit_fleet",
    ),
    OperatorAction(
        "bot.try", "t", "Try it", "talk to it in a conversation of your own", scope=Scope.BOT,
        opens="console.tui.screens.tryit:TryScreen", capability="say",
    ),
    OperatorAction(
        "bot.pair", "C", "Pair", "make a code that lets one person in", scope=Scope.BOT, deed="pair",
        capability="access", confirm=Confirm.ALWAYS,
        consequence="Whoever sends the code to the bot, in a private chat, may talk to it from then on.",
    ),
    OperatorAction(
        "bot.allow", "A", "Allow", "let a person in, by number", scope=Scope.BOT, deed="allow", will="letting in",
        did="let in", capability="access", confirm=Confirm.ALWAYS,
        consequence="From the next message on, unless its file blocks them.",
    ),
    OperatorAction(
        "bot.block", "B", "Block", "shut a person out, by number", scope=Scope.BOT, deed="block",
        will="shutting out", did="shut out", capability="access", confirm=Confirm.ALWAYS,
        consequence="Nothing they write is answered from now on.",
    ),
    OperatorAction(
        "bot.unlist", "U", "Unlist", "forget what was decided about a person", scope=Scope.BOT, deed="unlist",
        will="unlisting", did="unlisted", capability="access", confirm=Confirm.ALWAYS,
        consequence="Its file alone says then whether they may talk to it.",
    ),
    OperatorAction(
        "fleet.add", "a", "Add a bot", "a short form writes its file", scope=Scope.FLEET,
        opens="console.tui.screens.add:AddScreen", capability="add",
    ),
    OperatorAction(
        "bot.export", "X", "Export", "write its rows to a portable file", deed="export", will="exporting",
        did="exported", capability="partition",
    ),
    OperatorAction(
        "bot.remove", "D", "Remove", "delete its file and all its rows", deed="remove", will="removing",
        did="removed", capability="partition", confirm=Confirm.TYPED,
        consequence="Its file and everything it remembers are deleted. Export first what is to be kept.",
    ),
)  # fmt: skip

PROFILE: Final = OperatorAction(
    "bot.profile", "", "Profile", "change what a bot knows of a person", scope=Scope.BOT, deed="profile",
    capability="profile",
)  # fmt: skip
"""Asked for on a screen of its own, with keys of its own."""

BY_ID: Final = {action.id: action for action in ACTIONS}

BINDINGS: Final = [
    Binding(action.key, f"app.act('{action.id}')", action.title, show=False, id=action.id) for action in ACTIONS
]
"""For every screen that has targets."""
