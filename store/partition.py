"""Everything of one bot: no method takes a bot_id, it is bound here."""

from __future__ import annotations

from collections.abc import Sequence

from store import turns
from store.access import Access
from store.bots import BotStates
from store.chats import Chats
from store.journal import Journal
from store.known import Known
from store.logs import Logs
from store.marks import Marks
from store.messages import Messages, StoredMessage
from store.metrics import MetricRows
from store.outbox import Outbox
from store.profiles import Profiles
from store.reader import Reader
from store.registrations import Registrations
from store.summaries import Summaries
from store.tails import Tails
from store.taking_back import ChangingConversations
from store.turns import Recorded, TurnRecord
from store.updates import Updates
from store.usage import Usage
from store.writer import Writer


class Partition:
    """All rows of one bot. Made by `Store.partition`; cheap, holds nothing but its parts."""

    __slots__ = (
        "__weakref__", "_tails", "_writer", "access", "bot_id", "chats", "conversations", "events", "logs", "marks", "messages", "metrics",
        "outbox", "profiles", "registrations", "state", "summaries", "updates", "usage",
    )  # fmt: skip

    def __init__(self, bot_id: str, writer: Writer, reader: Reader, tails: Tails[StoredMessage], known: Known) -> None:
        self.bot_id = bot_id
        self._writer = writer
        self._tails = tails
        self.state = BotStates(bot_id, writer, reader)
        self.updates = Updates(bot_id, writer, reader)
        self.outbox = Outbox(bot_id, writer, reader)
        self.conversations = ChangingConversations(bot_id, writer, reader, tails, known)
        self.marks = Marks(bot_id, writer, reader)
        self.messages = Messages(bot_id, reader, tails)
        self.events = Journal(bot_id, reader)
        self.logs = Logs(bot_id, reader)
        self.metrics = MetricRows(bot_id, reader)
        self.usage = Usage(bot_id, writer, reader)
        self.profiles = Profiles(bot_id, writer, reader, known)
        self.summaries = Summaries(bot_id, writer, reader, known)
        self.access = Access(bot_id, writer, reader, known)
        self.chats = Chats(bot_id, writer, reader)
        self.registrations = Registrations(bot_id, writer, reader)

    async def record_turn(self, turn: TurnRecord, now_ms: int) -> tuple[int, ...]:
        """Write one turn in one transaction; return the ids of its sends, () when its update was finished before.

        Raises StoreError, and then nothing of the turn is stored. When the caller is cancelled, the turn may be
        stored all the same; asking again then writes nothing.
        """
        ids, bot_id = self._writer.ids, self.bot_id

        def remember(recorded: Recorded) -> None:
            if recorded.said is not None:
                self._tails.append((bot_id, turn.client_id, turn.conversation_id), recorded.said)

        done = await self._writer.write(lambda c: turns.record(c, ids, bot_id, turn, now_ms), committed=remember)
        return done.outbox_ids

    async def finish_sends(self, sent: Sequence[tuple[int, int | None]], now_ms: int) -> None:
        """Note that sends, (outbox_id, message_id) each, were accepted, in one transaction. Raises StoreError."""
        await self.outbox.sent_many(sent, now_ms)
