"""A fleet that does not run: its database read query-only, and written only under the fleet's lock."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from config.errors import FleetError
from config.vocabulary import is_bot_id
from console import accounts
from console.answers import ConversationRow, MessageRow, UsageRow
from console.chats import listed, read
from console.control import BotRow, EventLine, EventQuery, LogLine, LogQuery, Status, matching, no_such_bot, sources
from console.errors import BadRequest
from console.keyholding import KeyAnswer, NewKeyAnswer
from console.keyring import Keyring
from console.lock import Lock, Owner
from console.place import Place
from console.rows import event_line, log_line, log_matcher, phase_counts
from store.bots import SELECT, BotState, state_of
from store.conversations import Conversations
from store.errors import StoreUnavailable
from store.everybody import stored_ids
from store.journal import Journal
from store.keys import ApiKeys
from store.logs import Logs
from store.messages import Messages
from store.opening import cannot_open, check_readable
from store.reader import Reader
from store.tails import Tails
from store.usage import UsageRows
from store.writer import NoWriter
from workers.clock import SystemClock
from workers.media import keeping

if TYPE_CHECKING:
    from store.database import Store


class Offline:
    """What can be asked of a fleet without its process. Raises FleetErrors."""

    def __init__(self, place: Place) -> None:
        self.place = place

    async def status(self) -> Status:
        """Return the bots as last written down; a fleet that never ran has none."""
        async with self._reader() as reader:
            rows = await self._rows(reader) if reader else []
        return {
            "fleet": {
                "name": self.place.name,
                "running": False,
                "pid": None,
                "started_at": None,
                "version": None,
                "root": str(self.place.root.absolute()),
                "database": str(self.place.database),
                "bots": len(rows),
                "phases": phase_counts(row["phase"] for row in rows),
                "held": False,
                "store_fault": None,
                "outage": None,
                "config_errors": [],
            },
            "bots": rows,
        }

    async def _rows(self, reader: Reader) -> list[BotRow]:
        open_ = {
            bot_id: (inbox, outbox)
            for bot_id, inbox, outbox in await reader.fetch(
                "SELECT bot_id, (SELECT count(*) FROM updates u WHERE u.bot_id = b.bot_id AND outcome IS NULL),"
                " (SELECT count(*) FROM outbox o WHERE o.bot_id = b.bot_id AND state IN ('pending', 'attempting'))"
                " FROM bots b"
            )
        }
        states = [state_of(row) for row in await reader.fetch(f"{SELECT} ORDER BY bot_id")]
        return [_row(state, *open_.get(state.bot_id, (0, 0))) for state in states]

    async def bot(self, bot_id: str) -> dict[str, Any]:
        """Return what is written down of one bot. Raises NoSuchBot."""
        rows = {row["bot_id"]: row for row in (await self.status())["bots"]}
        if bot_id not in rows:
            raise no_such_bot(bot_id, rows)
        events = await self.events(EventQuery((bot_id,), tail=20))
        return {**rows[bot_id], "running": False, "events": events}

    async def logs(self, query: LogQuery) -> list[LogLine]:
        """As Control.logs."""
        matches = log_matcher(query)
        async with self._reader() as reader:
            if reader is None:
                return []
            lines: list[LogLine] = []
            for bot_id in sources(query.bots, await stored_ids(reader)):
                rows = await Logs(bot_id, reader).tail(
                    -1 if query.pattern else query.tail,
                    since_ms=int(query.since * 1000),
                    before_ms=int(query.before * 1000),
                    min_level=query.min_level,
                )
                lines += filter(matches, map(log_line, rows))
        lines.sort(key=lambda line: line["at"])
        return lines[-query.tail :] if query.tail else []

    async def events(self, query: EventQuery) -> list[EventLine]:
        """As Control.events."""
        async with self._reader() as reader:
            if reader is None:
                return []
            lines: list[EventLine] = []
            for bot_id in sources(query.bots, await stored_ids(reader)):
                rows = await Journal(bot_id, reader).tail(
                    query.tail, since_ms=int(query.since * 1000), before_ms=int(query.before * 1000), kinds=query.kinds
                )
                lines += map(event_line, rows)
        lines.sort(key=lambda line: line["at"])
        return lines[-query.tail :] if query.tail else []

    async def conversations(
        self, bot_id: str, *, search: str = "", before: float = 0.0, limit: int = 50
    ) -> list[ConversationRow]:
        """As Control.conversations."""
        async with self._known(bot_id) as reader:
            messages = Messages(bot_id, reader, Tails())
            return await listed(Conversations(bot_id, reader), messages, search=search, before=before, limit=limit)

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
        """As Control.messages."""
        async with self._known(bot_id) as reader:
            messages, usage, key = (
                Messages(bot_id, reader, Tails()),
                UsageRows(bot_id, reader),
                (client_id, conversation_id),
            )
            return await read(messages, usage, key, before_seq=before_seq, search=search, limit=limit)

    async def usage(self, selectors: Sequence[str], *, by: str, days: int) -> list[UsageRow]:
        """As Control.usage; days are those of the time zones the files name now."""
        from config.load import Loader

        accounts.check(by, days)
        async with self._reader() as reader:
            known = await self._bot_ids(reader) if reader is not None else []
            chosen = dict.fromkeys(b for selector in selectors or ("*",) for b in matching(selector, known))
            if reader is None or not chosen:
                return []
            snapshot = await anyio.to_thread.run_sync(Loader(self.place.root).load)
            rows: list[UsageRow] = []
            for bot_id in chosen:
                spec = snapshot.bots.get(bot_id)
                zone = spec.config.time_zone if spec else ""
                rows += await accounts.spent(UsageRows(bot_id, reader), bot_id, by, days, zone, SystemClock().now())
        return rows

    @asynccontextmanager
    async def _known(self, bot_id: str) -> AsyncIterator[Reader]:
        """Give a connection for a bot that is written down. Raises NoSuchBot."""
        async with self._reader() as reader:
            known = await self._bot_ids(reader) if reader is not None else []
            if reader is None or bot_id not in known:
                raise no_such_bot(bot_id, known)
            yield reader

    async def backup(self, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """As Control.backup."""
        async with self._store() as store:
            await store.backup(target, overwrite=overwrite)
        return {"file": str(target), "size_bytes": (await anyio.Path(target).stat()).st_size}

    async def export_bot(self, bot_id: str, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """As Control.export_bot."""
        async with self._store() as store:
            known = await store.bot_ids()
            if bot_id not in known:
                raise no_such_bot(bot_id, known)
            rows = await store.export_partition(bot_id, target, overwrite=overwrite)
        return {"bot_id": bot_id, "file": str(target), "rows": rows}

    async def import_bot(self, source: Path, bot_id: str | None = None) -> dict[str, Any]:
        """As Control.import_bot."""
        async with self._store(create=True) as store:
            name, rows = await store.import_partition(source, bot_id, now_ms=int(SystemClock().now() * 1000))
        return {"bot_id": name, "rows": rows}

    async def remove_bot(self, bot_id: str) -> dict[str, Any]:
        """As Control.remove_bot."""
        if not is_bot_id(bot_id):  # it would name a file elsewhere
            raise no_such_bot(bot_id, ())
        path = self.place.root / "bots" / f"{bot_id}.toml"
        async with self._store(create=path.exists()) as store:
            known = await store.bot_ids()
            if bot_id not in known and not path.exists():
                raise no_such_bot(bot_id, known)
            remove_file(path)
            rows = await store.remove_partition(bot_id)
            await anyio.to_thread.run_sync(keeping.remove, self.place.root, bot_id)
        return {"bot_id": bot_id, "file": str(path), "rows": rows}

    async def keys(self) -> list[KeyAnswer]:
        """As Keyholder.keys."""
        async with self._reader() as reader:
            if reader is None:
                return []
            ring = Keyring(ApiKeys(NoWriter(self.place.database), reader), SystemClock())
            await ring.load()
            return ring.all()

    async def key_add(
        self, name: str, scope: str, *, client_id: str | None = None, days: float | None = None, actor: str
    ) -> NewKeyAnswer:
        """As Keyholder.key_add."""
        async with self._ring(create=True) as ring:
            return await ring.add(name, scope, client_id, days, actor)

    async def key_revoke(self, name: str) -> KeyAnswer:
        """As Keyholder.key_revoke."""
        async with self._ring() as ring:
            return await ring.revoke(name)

    @asynccontextmanager
    async def _ring(self, *, create: bool = False) -> AsyncIterator[Keyring]:
        async with self._store(create=create) as store:
            ring = Keyring(store.keys, SystemClock())
            await ring.load()
            yield ring

    async def _bot_ids(self, reader: Reader) -> list[str]:
        return [bot_id for (bot_id,) in await reader.fetch("SELECT bot_id FROM bots ORDER BY bot_id")]

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[Reader | None]:
        """Give a query-only connection; None when there is no database yet."""
        database = self.place.database
        if not database.exists():
            yield None
            return
        try:
            reader = await Reader.open(database, count=1)
        except sqlite3.Error as error:
            raise cannot_open(database, error) from error
        try:
            yield reader
        except (sqlite3.OperationalError, StoreUnavailable) as error:
            check_readable(database)
            raise cannot_open(database, error) from error
        finally:
            await reader.close()

    @asynccontextmanager
    async def _store(self, *, create: bool = False) -> AsyncIterator[Store]:
        """Give the whole store, under the fleet's lock. Raises FleetOwned, StoreOpenError, BadRequest."""
        from console.cli import version
        from store.database import Store

        database, clock = self.place.database, SystemClock()
        if not create and not database.exists():
            raise BadRequest(f"there is no database {database}", "the fleet has never run")
        lock = await Lock.take(database, Owner(os.getpid(), uuid.uuid4().hex, version(), "", clock.now()), clock)
        try:
            async with await Store.open(database, now_ms=int(clock.now() * 1000)) as store:
                yield store
        finally:
            lock.release()


def remove_file(path: Path) -> None:
    """Delete a bot's file, if it is there. Raises FleetError."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise FleetError(f"cannot remove {path}: {error.strerror}", "nothing was deleted") from error


def _row(state: BotState, inbox_open: int, outbox_open: int) -> BotRow:
    kept = asdict(state)
    shown = {name: kept[name] for name in BotRow.__annotations__ if name in kept}
    telegram = {"id": state.telegram_id, "username": state.username} if state.telegram_id else None
    more = {
        "conditions": json.loads(state.conditions),
        "since": state.phase_since_ms / 1000 if state.phase_since_ms else None,
        "telegram": telegram,
        "last_poll_age_s": None,
        "inbox_open": inbox_open,
        "outbox_open": outbox_open,
        "retry_at": state.retry_at_ms / 1000 if state.retry_at_ms else None,
        "config_error": state.config_error or None,
    }
    return shown | more  # type: ignore[return-value]
