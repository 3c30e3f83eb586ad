"""What happened: past facts, published by workers, journaled by the store, drawn by the console.

| event | says | data |
|---|---|---|
| BotStarted | a bot is ready to take messages | generation |
| BotStopped | a bot has come to rest on purpose | reason |
| BotFailed | a bot crashed; it will be tried again | error, fingerprint, retry_in_s |
| BotInvalid | a bot cannot run until something changes | reason |
| Quarantined | a bot failed alike too often and rests | fingerprint, retry_in_s |
| FleetHeld, FleetReleased | half the fleet fails alike: nothing is counted | fingerprint, bots |
| TokenInUse | somebody else polls this bot's token | message |
| HealthCheckFailed | a bot made no progress for too long | check, age_s |
| LoopStalled | the event loop was blocked | duration_s, task, line |
| FellBehind | a bot takes nothing more in until it has answered some; the rest waits at its server | reason |
| MessageReceived | an update was committed to the inbox | update_id, chat_id |
| MessagePoisoned | an update could not be understood and was set aside | update_id, error |
| ReplySent | an answer has left | update_id, chat_id, parts, duration_s |
| SendUncertain | a send was cut off in flight | update_id, policy |
| TurnFailed | no answer could be had, though the model is there | update_id, error |
| ModelLost, ModelRegained | no model of a bot can be reached, or one answers again; failed messages got no answer | reason; after_s, failed |
| ToolCalled | the model called a tool; error is empty when it went well | update_id, tool, duration_s, error |
| ConfigApplied | a change of the files is live | keys, effect, generation |
| ConfigRejected | a change of the files was refused; the last good one runs | problems |
| OperatorActed | somebody asked for something | action, actor, reason |
| StoreFaulted, StoreRecovered | the database refuses, or takes, writes again | error |
| NetworkLost, NetworkRegained | half the fleet cannot reach, or reaches again, its server | bots, reason; after_s |
| FleetStarted, FleetStopped | the process took, or gave back, the fleet | pid, version |
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A past fact. `at` is Unix time in seconds; `bot_id` is `_fleet` for the fleet as a whole."""

    bot_id: str
    at: float

    @property
    def kind(self) -> str:
        """The event's name as journaled and shown."""
        return type(self).__name__

    def data(self) -> dict[str, Any]:
        """Everything but bot_id and at, JSON-ready."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"bot_id", "at"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStarted(Event):
    """A bot is ready to take messages."""

    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BotStopped(Event):
    """A bot has come to rest on purpose."""

    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BotFailed(Event):
    """A bot crashed; it will be tried again."""

    error: str
    fingerprint: str
    retry_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BotInvalid(Event):
    """A bot cannot run until something changes."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined(Event):
    """A bot failed alike too often and rests."""

    fingerprint: str
    retry_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetHeld(Event):
    """Half the fleet fails alike: the cause is outside, nothing is counted."""

    fingerprint: str
    bots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReleased(Event):
    """The fleet-wide failure has ended; bots start again, paced."""

    bots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInUse(Event):
    """Somebody else polls this bot's token."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckFailed(Event):
    """A bot made no progress for too long."""

    check: str
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStalled(Event):
    """The event loop was blocked."""

    duration_s: float
    task: str
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FellBehind(Event):
    """A bot takes nothing more in until it has answered some; the rest waits at its server."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(Event):
    """An update was committed to the inbox."""

    update_id: int
    chat_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePoisoned(Event):
    """An update could not be understood and was set aside."""

    update_id: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplySent(Event):
    """An answer has left."""

    update_id: int
    chat_id: int
    parts: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SendUncertain(Event):
    """A send was cut off in flight; the policy says what was done about it: resend, skip, or frame for the beginning of an
    answer that was being shown, which may stay beside it.
    """

    update_id: int | None
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFailed(Event):
    """No answer could be had; the person got the error text. update_id is None for a question no update brought."""

    update_id: int | None
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLost(Event):
    """No model of a bot can be reached; what that costs is counted until one answers again."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRegained(Event):
    """A model of a bot answers again; failed is how many messages got no answer for it."""

    after_s: float
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCalled(Event):
    """The model called a tool. update_id is None in a turn that answers no update; error is "" when it went well."""

    update_id: int | None
    tool: str
    duration_s: float
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigApplied(Event):
    """A change of the files is live."""

    keys: tuple[str, ...]
    effect: str
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigRejected(Event):
    """A change of the files was refused; the last good one runs on."""

    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorActed(Event):
    """Somebody asked for something."""

    action: str
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFaulted(Event):
    """The database refuses writes; bots stop taking updates."""

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRecovered(Event):
    """The database takes writes again."""

    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLost(Event):
    """Half the fleet cannot reach its server."""

    bots: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRegained(Event):
    """The fleet reaches its server again."""

    after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStarted(Event):
    """This process took the fleet."""

    pid: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStopped(Event):
    """This process gave the fleet back."""

    pid: int
    reason: str


KINDS: dict[str, type[Event]] = {cls.__name__: cls for cls in Event.__subclasses__()}
"""Every kind of event by the name it is journaled under."""
