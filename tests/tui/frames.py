"""Frames of a made-up fleet, for what draws them."""

from __future__ import annotations

from typing import Any

from config.vocabulary import Phase

NOW = 1_700_000_000.0


def row(bot_id: str, phase: str = Phase.RUNNING, **changes: Any) -> Any:
    """Return a bot as a feed gives it; `figures` are merged into the usual ones."""
    running = phase == Phase.RUNNING
    figures = {
        "per_min": 0.0,
        "trend": [0] * 20,
        "turn_p50_s": None,
        "turn_p95_s": None,
        "errors_1h": 0,
        "tokens_today": 0,
        "cost_today": 0.0,
        "last_event": None,
    } | changes.pop("figures", {})
    made: dict[str, Any] = {
        "bot_id": bot_id,
        "name": bot_id.title(),
        "phase": phase,
        "phase_reason": "",
        "conditions": {"ready": condition(running), "polling": condition(running), "config_current": condition(True)},
        "desired": "run",
        "paused": False,
        "since": NOW - 60,
        "telegram": {"id": 1, "username": f"{bot_id}_bot"},
        "last_poll_age_s": 1.0,
        "inbox_open": 0,
        "outbox_open": 0,
        "turns": 0,
        "errors": 0,
        "restarts": 0,
        "ambiguous_sends": 0,
        "retry_at": None,
        "generation": 1,
        "observed_generation": 1,
        "config_error": None,
        "in_turn": 0,
        "inbox_age_s": None,
        "desired_actor": "",
        "desired_reason": "",
        "figures": figures,
    }
    return made | changes


def condition(status: bool, reason: str = "") -> dict[str, Any]:
    """Return a condition as rows hold it."""
    return {"status": status, "reason": reason, "since": NOW - 60}


def frame(
    *rows: Any, rev: int = 0, full: bool = True, gone: tuple[str, ...] = (), start_id: str = "s", **fleet: Any
) -> Any:
    """Return a frame with these rows."""
    phases: dict[str, int] = {}
    for each in rows:
        phases[each["phase"]] = phases.get(each["phase"], 0) + 1
    figures = {
        "per_min": 12.0,
        "turn_p95_s": 1.4,
        "errors_1h": 2,
        "tokens_today": 12_345,
        "cost_today": 0.42,
        "loop_lag_ms": 3.0,
        "lines_per_s": 1.0,
    }
    made = {
        "name": "demo",
        "running": True,
        "pid": 7,
        "started_at": NOW - 3600,
        "version": "0.1.0",
        "root": "/fleet",
        "database": "/fleet/botdeck.db",
        "bots": len(rows),
        "phases": phases,
        "held": False,
        "store_fault": None,
        "outage": None,
        "config_errors": [],
        "figures": figures,
    }
    return {
        "rev": rev,
        "start_id": start_id,
        "at": NOW,
        "full": full,
        "fleet": made | fleet,
        "bots": list(rows),
        "gone": list(gone),
    }
