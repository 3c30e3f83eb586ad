"""Events of the bus, written to the store in batches."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any, Final

import anyio

from store.database import Store
from store.errors import StoreError
from store.events import KINDS, Event
from store.journal import NewEvent
from workers.bus import Bus
from workers.clock import Clock
from workers.finishing import finished

INTERVAL_S: Final = 0.25
BATCH: Final = 500
CAPACITY: Final = 20_000
LONGEST_TEXT: Final = 2000
LONGEST_LIST: Final = 50
"""Characters and entries of one datum: an event is a fact in a line, whoever said more in it said it in the log."""

_encode: Final = json.JSONEncoder(default=str).encode


_NAMES: Final = {kind: tuple(f.name for f in fields(kind) if f.name not in {"bot_id", "at"}) for kind in KINDS.values()}
"""What each kind of event tells, looked up once: fields() costs more than all the rest."""

_PLAIN: Final = frozenset({int, float})
_NUMBERS: Final = {kind: "{" + ", ".join(f'"{name}": %s' for name in names) + "}" for kind, names in _NAMES.items()}
"""The JSON of events that tell numbers only, as the two of every turn do."""


def row_of(event: Event) -> NewEvent:
    """Return an event as the store's row."""
    kind = type(event)
    values = [getattr(event, name) for name in _NAMES[kind]]
    if _PLAIN.issuperset(map(type, values)):
        return (event.bot_id, int(event.at * 1000), kind.__name__, _NUMBERS[kind] % tuple(values), "")
    data = {name: _fit(getattr(event, name)) for name in _NAMES[kind]}
    actor = str(data.get("actor", "")).encode("utf-8", "replace").decode()
    return (event.bot_id, int(event.at * 1000), kind.__name__, _encode(data), actor)


def _fit(value: Any) -> Any:
    """Return a value of a length fit for a journal."""
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    if isinstance(value, tuple):
        return [_fit(part) for part in value[:LONGEST_LIST]]
    return value


class EventJournal:
    """Keeps a bounded number of events until the store takes them; `missed` counts those that did not fit."""

    def __init__(self, bus: Bus, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._listening = bus.subscribe(CAPACITY)
        self._subscription = self._listening.__enter__()
        self._unwritten: list[NewEvent] = []
        self._turn = anyio.Lock()

    @property
    def missed(self) -> int:
        """Events dropped because the store was away for too long."""
        return self._subscription.missed

    async def run(self) -> None:
        """Write events down until cancelled; then call `close`."""
        while True:
            await self._subscription.ready()
            if await self.flush():
                await self._clock.sleep(INTERVAL_S)
                continue
            await self._clock.sleep(1.0)
            await self._store.wait_healthy()

    async def flush(self) -> bool:
        """Write down all that was published before; False when the store refuses (nothing is lost).

        Cancelled, it goes on when all is written.
        """
        async with self._turn:
            # A batch that may or may not be written would be written twice.
            return await finished(self._write())

    async def close(self) -> None:
        """Stop listening and write down what is left, if the store takes it."""
        self._listening.__exit__(None, None, None)
        if not await self.flush():
            self._subscription.missed += len(self._unwritten) + len(self._subscription.take())

    async def _write(self) -> bool:
        """Write all there is, BATCH by BATCH; False when the store refused (nothing is dropped then)."""
        while self._unwritten or len(self._subscription):
            if not self._unwritten:
                self._unwritten = [row_of(event) for event in self._subscription.take(BATCH)]
            try:
                await self._store.append_events(self._unwritten)
            except StoreError:
                return False
            self._unwritten = []
        return True
