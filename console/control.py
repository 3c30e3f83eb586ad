"""Control: every operation a person or a program may ask of a fleet, stated once.

`LocalControl` (console/local.py) does them inside the fleet's process, `RemoteControl` (console/attach.py) asks for
them over the unix socket; one contract suite runs over both. Every front end speaks to a Control, and to nothing
else. Answers are plain JSON-ready dicts; moments are Unix time in seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Protocol

from config.vocabulary import FLEET, Phase
from console.answers import (
    AccessAnswer,
    AnsweringRow,
    BotRow,
    ConfigFile,
    ConversationRow,
    Draft,
    EventLine,
    FactRow,
    FleetRow,
    Frame,
    Info,
    Invitation,
    LiveFleet,
    LiveRow,
    LogLine,
    MessageRow,
    Outcome,
    Preview,
    Said,
    Saying,
    Series,
    Status,
    UsageRow,
)
from console.keyholding import Keyholder
from workers.errors import NoSuchBot

__all__ = [
    "ALL",
    "API_VERSION",
    "AccessAnswer",
    "Action",
    "AnsweringRow",
    "BotRow",
    "ConfigFile",
    "Control",
    "ConversationRow",
    "Draft",
    "EventLine",
    "EventQuery",
    "FactRow",
    "FleetRow",
    "Frame",
    "Info",
    "Invitation",
    "LiveFleet",
    "LiveRow",
    "LogLine",
    "LogQuery",
    "MessageRow",
    "Outcome",
    "Preview",
    "Said",
    "Saying",
    "Series",
    "Status",
    "UsageRow",
    "matching",
    "no_such_bot",
    "selection",
    "sources",
]

API_VERSION: Final = "1.2"
"""major.minor of the control protocol; another major is refused by clients."""

ALL: Final = "*"
"""The selector of every bot."""
GLOB: Final = "*?["
"""What makes a selector stand for bots by a pattern."""


class Action(StrEnum):
    """What may be asked of a bot."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    PAUSE = "pause"
    RESUME = "resume"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which log lines: of the bots selected (none = every bot and the fleet itself), the last `tail` of the rest.

    since and before are moments (before 0: now); min_level a number of the logging module; pattern a regular expression
    searched in the text.
    """

    bots: tuple[str, ...] = ()
    tail: int = 100
    since: float = 0.0
    min_level: int = 0
    pattern: str = ""
    before: float = 0.0


@dataclass(frozen=True, slots=True)
class EventQuery:
    """Which events: of the bots selected (none = every bot and the fleet itself), of the kinds named (none = all)."""

    bots: tuple[str, ...] = ()
    tail: int = 100
    since: float = 0.0
    kinds: tuple[str, ...] = ()
    before: float = 0.0


class Control(Keyholder, Protocol):
    """Every operation. Raises FleetErrors only; cancelling a call is safe, what it began may still happen."""

    async def info(self) -> Info:
        """Return who answers."""
        ...

    async def status(self) -> Status:
        """Return the fleet and every bot of it, by bot_id."""
        ...

    async def bot(self, bot_id: str) -> dict[str, Any]:
        """Return all that is known of one bot: its BotRow, `file`, `digest`, `setup`, `failures`, `usage`, last `events`.

        Raises NoSuchBot.
        """
        ...

    def feed(self) -> AsyncIterator[Frame]:
        """Yield the fleet, then what changes, at most four times a second and at least every 5 s, until cancelled.

        A reader that is slow gets fewer frames, each with all that changed meanwhile.
        """
        ...

    async def series(self, bot_id: str, *, since: float, until: float, step_s: int) -> Series:
        """Return the measures of a bot over time, in steps of whole minutes. Raises NoSuchBot, BadRequest."""
        ...

    async def steer(
        self,
        action: Action,
        selectors: Sequence[str],
        *,
        actor: str,
        reason: str = "",
        expected_generation: int | None = None,
    ) -> list[Outcome]:
        """Ask bots for an action; the intent is stored first. Selectors are bot ids and globs.

        A bot that cannot be found, does not take the action, or whose files have another generation than expected has
        ok = false in its outcome; the others go on.
        Returns when the intent is stored, not when the bots are there: see `wait`.
        """
        ...

    async def wait(
        self, bot_ids: Sequence[str], phases: Collection[Phase], *, timeout_s: float, since: float = 0.0
    ) -> list[str]:
        """Wait until every bot is in one of the phases (entered at or after since); return those that are not in time.

        Raises NoSuchBot.
        """
        ...

    async def reload(self, *, actor: str) -> dict[str, Any]:
        """Read the folder anew now; return {"changes": [{bot_id, kind, effect, keys}], "problems": […]}."""
        ...

    async def config_show(self, bot_id: str) -> dict[str, Any]:
        """Return {"bot_id", "file", "config", "origins"} of the running bot, secrets masked. Raises NoSuchBot."""
        ...

    async def config_file(self, bot_id: str) -> ConfigFile:
        """Return the file of a bot, or of the fleet (FLEET: fleet.toml), as it lies on the disk.

        Raises NoSuchBot, ConfigError.
        """
        ...

    async def preview(self, bot_id: str, text: str) -> Preview:
        """Say what a text would do in place of that file; nothing is written. Raises NoSuchBot, ConfigError.

        Of fleet.toml: to the fleet itself, then to every bot it changes; a bot it would break is a problem.
        """
        ...

    async def save_config(self, bot_id: str, text: str, *, expected_digest: str, actor: str) -> dict[str, Any]:
        """Put a text in the place of that file and apply it; return {"digest", "changes", "problems"}.

        Raises Conflict when the file is another one than `config_file` gave, ConfigError for a text with mistakes:
        nothing is written then.
        """
        ...

    async def add_bot(self, draft: Draft, *, actor: str) -> dict[str, Any]:
        """Write the file of a new bot and start it; return {"bot_id", "file", "username"}. Raises ConfigError."""
        ...

    async def pair(self, bot_id: str, *, minutes: float, actor: str) -> Invitation:
        """Make a code that lets one person talk to a bot; it is shown this once. Raises NoSuchBot, BadRequest."""
        ...

    async def access(
        self,
        bot_id: str,
        *,
        allow: Sequence[int] = (),
        block: Sequence[int] = (),
        remove: Sequence[int] = (),
        actor: str = "",
    ) -> AccessAnswer:
        """Return who may talk to a bot, after people were let in, shut out, or what was decided about them forgotten.

        It counts from the next message on. Raises NoSuchBot, BadRequest.
        """
        ...

    async def check(self) -> dict[str, Any]:
        """Check the files as they are now; return {"ok", "bots", "problems", "warnings"}. Changes nothing."""
        ...

    async def logs(self, query: LogQuery) -> list[LogLine]:
        """Return log lines, oldest first. Raises NoSuchBot, BadRequest (a bad pattern)."""
        ...

    def follow_logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """Yield what `logs` returns, then every further line as it is written, until cancelled. Raises what `logs` raises.

        A glob stands also for bots that come later.
        """
        ...

    async def events(self, query: EventQuery) -> list[EventLine]:
        """Return events, oldest first. Raises NoSuchBot."""
        ...

    def follow_events(self, query: EventQuery) -> AsyncIterator[EventLine]:
        """Yield what `events` returns, then every further event as it happens, until cancelled. Raises NoSuchBot.

        A glob stands also for bots that come later.
        """
        ...

    async def conversations(
        self, bot_id: str, *, search: str = "", before: float = 0.0, limit: int = 50
    ) -> list[ConversationRow]:
        """Return conversations, last spoken in first: before a moment, and with a text somewhere in them. Raises NoSuchBot."""
        ...

    async def messages(
        self,
        bot_id: str,
        client_id: str,
        conversation_id: str,
        *,
        before_seq: int | None = None,
        search: str = "",
        limit: int = 100,
    ) -> list[MessageRow]:
        """Return the last messages of a conversation, or those before a number, oldest first. Raises NoSuchBot."""
        ...

    async def say(self, bot_id: str, text: str, *, session: str, actor: str) -> Said:
        """Ask a bot as its operator: a turn by its configuration, in a conversation of the session's own.

        It is remembered and its tokens are counted as those of every turn; it reaches no channel. Where no answer can be
        had, `error` says why and nothing is remembered. Who stops waiting stops nothing: the turn goes on to its end.
        Raises NoSuchBot, WrongPhase (no good configuration), BadRequest.
        """
        ...

    def saying(self, bot_id: str, text: str, *, session: str, actor: str, key: str = "") -> AsyncIterator[Saying]:
        """As `say`, and yield what there is of the answer while it is made, ten times a second at most; the last is whole.

        A reader that is slow gets fewer of them, each with all that is new; one that leaves stops nothing. Under a key
        used before (of the last questions) nothing is asked: that question is followed from its beginning.
        """
        ...

    async def answering(self, bot_id: str) -> list[AnsweringRow]:
        """Return the conversations whose answers are being made, those asked for longest first. Raises NoSuchBot."""
        ...

    async def usage(self, selectors: Sequence[str], *, by: str, days: int) -> list[UsageRow]:
        """Return what bots (ids and globs; none = every bot) spent in the last days, today among them.

        Summed by day (of the bot's time zone, in order), chat, user or model (those that took most tokens first, 1,000 of
        a bot at most). Raises NoSuchBot, BadRequest.
        """
        ...

    async def profile(
        self, bot_id: str, user_id: str, *, changes: Mapping[str, str | None] | None = None, actor: str = ""
    ) -> list[FactRow]:
        """Return what a bot knows of a person, by name, after writing changes down (None deletes a fact).

        Of the tenant the bot's file names. Raises NoSuchBot, BadRequest for facts beyond the limits.
        """
        ...

    async def backup(self, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """Copy the database to an absolute path of the fleet's machine, verified; return {"file", "size_bytes"}."""
        ...

    async def export_bot(self, bot_id: str, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """Write one bot's rows to a portable file; return {"bot_id", "file", "rows"}."""
        ...

    async def import_bot(self, source: Path, bot_id: str | None = None, *, actor: str) -> dict[str, Any]:
        """Read a portable file into an empty partition; return {"bot_id", "rows"}."""
        ...

    async def remove_bot(self, bot_id: str, *, actor: str) -> dict[str, Any]:
        """Drain and stop a bot, delete its file and its rows; return {"bot_id", "file", "rows"}. Raises NoSuchBot."""
        ...


def no_such_bot(bot_id: str, known: Iterable[str]) -> NoSuchBot:
    """Return the error for an id or a glob that fits no bot, naming the nearest."""
    near = get_close_matches(bot_id, list(known), n=1)
    what = "no bot matches" if any(sign in bot_id for sign in GLOB) else "no such bot:"
    return NoSuchBot(f"{what} {bot_id}", f"did you mean {near[0]}?" if near else "`botdeck bot list` names them")


def matching(selector: str, known: Sequence[str]) -> list[str]:
    """Return the ids a bot id or glob stands for, in the order of known. Raises NoSuchBot when there is none.

    Every bot of an empty fleet is no bot, and no mistake.
    """
    found = [bot_id for bot_id in known if fnmatchcase(bot_id, selector)]
    if not found and selector != ALL:
        raise no_such_bot(selector, known)
    return found


def selection(selectors: Sequence[str]) -> Callable[[str], bool]:
    """Return what tells whether a partition is one of those `sources` names, also of bots that are not known yet."""
    named, globs = frozenset(selectors), [one for one in selectors if any(sign in one for sign in GLOB)]
    if not named:
        return lambda _: True
    return lambda bot_id: bot_id in named or (bot_id != FLEET and any(fnmatchcase(bot_id, glob) for glob in globs))


def sources(selectors: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the partitions logs or events are read from: the selected bots, or all of them and the fleet itself."""
    if not selectors:
        return [*known, FLEET]
    chosen = (s for selector in selectors for s in ([FLEET] if selector == FLEET else matching(selector, known)))
    return list(dict.fromkeys(chosen))
