"""Events in people's words."""

from __future__ import annotations

from dataclasses import fields

import pytest

from console.tui import told
from console.tui.alarms import ALARMING
from store.events import KINDS, Event

SAMPLES = {"str": "why", "int": 3, "float": 2.5, "int | None": 3, "tuple[str, ...]": ("one", "two")}


def made(kind: type[Event]) -> Event:
    values = {f.name: SAMPLES[str(f.type)] for f in fields(kind) if f.name not in {"bot_id", "at"}}
    return kind(bot_id="a", at=1.0, **values)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_every_kind_of_event_has_its_sentence(kind: type[Event]) -> None:
    """No event is shown as a name and a heap of data, and none breaks the line."""
    event = made(kind)
    line = {"bot_id": "a", "at": 1.0, "kind": event.kind, "data": event.data(), "actor": "cli:anna"}
    text = told.told(line)  # type: ignore[arg-type]
    assert kind.__name__ not in text
    assert "None" not in text
    bare = told.told({"bot_id": "a", "at": 1.0, "kind": event.kind, "data": {}, "actor": ""})
    assert bare


def test_what_alarms_and_what_is_noise_are_kinds_there_are() -> None:
    """A renamed kind would silence its alarm."""
    assert set(ALARMING) <= KINDS.keys()
    assert set(told.NOISE) <= KINDS.keys()
    assert set(told.KINDS) == KINDS.keys()


def test_events_of_a_newer_fleet_are_shown_as_they_come() -> None:
    """An unknown kind is told by name and data, controls made visible."""
    line = {"bot_id": "a", "at": 1.0, "kind": "Dreamt", "data": {"of": "\x1b[2J"}, "actor": ""}
    assert told.told(line) == "Dreamt: of \\x1b[2J"  # type: ignore[arg-type]
    assert (told.level("Dreamt"), told.level("Quarantined")) == ("info", "error")


def test_who_did_it() -> None:
    """The name first, then the way it came."""
    assert [told.who(actor) for actor in ("console:anna", "cli:anna", "config", "")] == [
        "anna (console)", "anna (cli)", "config", "the supervisor",
    ]  # fmt: skip
