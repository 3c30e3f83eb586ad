"""Events in people's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from console.tui import words

if TYPE_CHECKING:
    from console.control import EventLine

NOISE: Final = frozenset({"MessageReceived", "ReplySent"})
"""Kinds that come with every message: shown only when asked for."""


def _turn(data: dict[str, Any]) -> str:
    return f"no answer could be had: {data.get('error', '')}"


def _doubt(data: dict[str, Any]) -> str:
    if data.get("policy") == "frame":
        return "the beginning of an answer was cut off in flight: it may stay beside the answer"
    return f"a send was cut off in flight ({data.get('policy', '')})"


def _cost(data: dict[str, Any]) -> str:
    failed = data.get("failed") or 0
    return f"; {failed} message{'s' if failed > 1 else ''} got no answer" if failed else ""


def _tool(data: dict[str, Any]) -> str:
    said = f"tool {data.get('tool', '')} called in {words.seconds(data.get('duration_s'))}"
    return f"{said}: {data['error']}" if data.get("error") else said


def _applied(data: dict[str, Any]) -> str:
    keys = [str(key) for key in data.get("keys") or ()]
    if not keys:
        return "configuration applied: nothing is different from before"
    return f"configuration applied ({data.get('effect', '')}): {words.some(keys)}"


def _again(data: dict[str, Any]) -> str:
    wait_s = data.get("retry_in_s") or 0.0
    return f"in {words.ago(wait_s)}" if wait_s >= 1 else "at once"


_SENTENCES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "BotStarted": lambda _d: "ready",
    "BotStopped": lambda d: f"stopped: {d.get('reason') or 'asked to'}",
    "BotFailed": lambda d: f"crashed, tries again {_again(d)}: {d.get('error', '')}",
    "BotInvalid": lambda d: f"cannot run: {d.get('reason', '')}",
    "Quarantined": lambda d: f"quarantined, one try {_again(d)}: {d.get('fingerprint', '')}",
    "FleetHeld": lambda d: f"{d.get('bots', 0)} bots fail alike, nothing is counted: {d.get('fingerprint', '')}",
    "FleetReleased": lambda d: f"{d.get('bots', 0)} bots start again, the common failure is over",
    "TokenInUse": lambda d: f"token in use: {d.get('message', '')}",
    "HealthCheckFailed": lambda d: f"no progress in {d.get('check', '')} for {words.ago(d.get('age_s'))}",
    "LoopStalled": lambda d: f"everything stood still for {words.seconds(d.get('duration_s'))}: {d.get('line', '')}",
    "FellBehind": lambda d: f"takes nothing more in, {d.get('reason', '')}; the rest waits at its server",
    "MessageReceived": lambda d: f"message {d.get('update_id')} received",
    "MessagePoisoned": lambda d: f"message {d.get('update_id')} set aside: {d.get('error', '')}",
    "ReplySent": lambda d: f"message {d.get('update_id')} answered in {words.seconds(d.get('duration_s'))}",
    "SendUncertain": _doubt,
    "TurnFailed": _turn,
    "ModelLost": lambda d: f"the model is out of reach: {d.get('reason', '')}",
    "ModelRegained": lambda d: f"the model answers again after {words.ago(d.get('after_s'))}{_cost(d)}",
    "ToolCalled": _tool,
    "ConfigApplied": _applied,
    "ConfigRejected": lambda d: f"configuration rejected: {words.some([str(p) for p in d.get('problems') or ()], 1)}",
    "OperatorActed": lambda d: f"{d.get('action', '')}{_because(d)} asked for",
    "StoreFaulted": lambda d: f"the database refuses writes: {d.get('error', '')}",
    "StoreRecovered": lambda d: f"the database takes writes again after {words.ago(d.get('after_s'))}",
    "NetworkLost": lambda d: f"{d.get('bots', 0)} bots cannot reach their server: {d.get('reason', '')}",
    "NetworkRegained": lambda d: f"the fleet reaches its server again after {words.ago(d.get('after_s'))}",
    "FleetStarted": lambda d: f"the fleet started (pid {d.get('pid')}, botdeck {d.get('version', '')})",
    "FleetStopped": lambda d: f"the fleet stopped: {d.get('reason', '')}",
}

_LEVELS: Final = {
    "BotFailed": "warning",
    "BotInvalid": "error",
    "Quarantined": "error",
    "FleetHeld": "error",
    "TokenInUse": "error",
    "HealthCheckFailed": "warning",
    "LoopStalled": "error",
    "FellBehind": "warning",
    "MessagePoisoned": "error",
    "SendUncertain": "warning",
    "TurnFailed": "warning",
    "ModelLost": "error",
    "ConfigRejected": "error",
    "StoreFaulted": "error",
    "NetworkLost": "error",
    "MessageReceived": "debug",
    "ToolCalled": "debug",
    "ReplySent": "debug",
}

KINDS: Final = tuple(_SENTENCES)
"""The kinds of events this console has words for."""


def _because(data: dict[str, Any]) -> str:
    return f" ({data['reason']})" if data.get("reason") else ""


def told(event: EventLine) -> str:
    """Return an event as one line of plain words; one of a newer fleet by its name and data."""
    sentence = _SENTENCES.get(event["kind"])
    if sentence is None:
        data = ", ".join(f"{name} {value}" for name, value in event["data"].items())
        return words.one_line(f"{event['kind']}: {data}" if data else event["kind"])
    by = f" by {who(event['actor'])}" if event["kind"] == "OperatorActed" else ""
    return words.one_line(sentence(event["data"]) + by)


def level(kind: str) -> str:
    """Return how much an event needs a person, in the words of a log: debug, info, warning, error."""
    return _LEVELS.get(kind, "info")


def who(actor: str) -> str:
    """Return who did something, from an actor as journaled: "anna (console)"; the supervisor where nobody asked."""
    way, _, name = actor.partition(":")
    return f"{name} ({way})" if name else actor or "the supervisor"
