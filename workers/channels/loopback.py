"""A channel in memory, with the Bot API's rules: for tests, for embedding, and for `channel = "none"`."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import anyio
import anyio.lowlevel

from config.schema import BotConfig, ReplySection
from workers.channels.base import Frame, Identity, Incoming, Lane, Outgoing
from workers.channels.incoming import lane_of, read, valid_updates
from workers.channels.outgoing import answer_parts
from workers.clock import Clock, SystemClock
from workers.errors import ChannelError, RateLimited, SendRefused, TokenInUse

Call = Literal["identify", "poll", "publish", "send", "show", "download"]

BATCH: Final = 100
FUTURE_SLACK: Final = 10
KEPT: Final = 10_000
"""Updates waiting and sends remembered at most: an embedded fleet must not grow without end."""


class Sent(NamedTuple):
    """One part the channel took. at is Unix time in seconds."""

    outgoing: Outgoing
    message_id: int
    at: float

    @property
    def chat_id(self) -> int:
        """The chat it went to."""
        return self.outgoing.chat_id

    @property
    def text(self) -> str:
        """Its text, or the caption of a document."""
        params = self.outgoing.params
        return str(params.get("text", params.get("caption", "")))


@dataclass(slots=True)
class Failure:
    """What a call is to fail with. done: a send is delivered all the same, only its answer is lost."""

    error: ChannelError
    times: int | None
    done: bool


class Switches:
    """Calls made to fail or to wait, by whoever tries things out."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._failures: dict[Call, Failure] = {}
        self._gates: dict[Call, anyio.Event] = {}
        self._held: Counter[str] = Counter()

    def fail(self, call: Call, error: ChannelError, times: int | None = 1, *, done: bool = False) -> None:
        """Make the next `times` calls raise error (None = until `mend`)."""
        self._failures[call] = Failure(error, times, done)

    def mend(self, call: Call | None = None) -> None:
        """Undo `fail` for one call or all."""
        for name in list(self._failures) if call is None else [call]:
            self._failures.pop(name, None)

    @contextmanager
    def hold(self, call: Call) -> Iterator[None]:
        """Let calls arrive but not go on for the length of the block; held sends are delivered when it ends."""
        gate = self._gates[call] = anyio.Event()
        try:
            yield
        finally:
            del self._gates[call]
            gate.set()

    def held(self, call: Call) -> int:
        """Return how many calls wait at a closed gate at this moment."""
        return self._held[call]

    async def _enter(self, call: Call) -> Failure | None:
        """Count a call, keep it while it is held, return how it is to fail."""
        self.calls[call] += 1
        if (gate := self._gates.get(call)) is not None:
            self._held[call] += 1
            try:
                await gate.wait()
            finally:
                self._held[call] -= 1
        failure = self._failures.get(call)
        if failure is not None and failure.times is not None:
            failure.times -= 1
            if failure.times <= 0:
                del self._failures[call]
        return failure


class _Poll:
    """A long poll in flight."""

    __slots__ = ("ousted", "woken")

    def __init__(self) -> None:
        self.woken = anyio.Event()
        self.ousted = False


class LoopbackChannel(Switches):
    """The Channel protocol in memory: `say` plays a person, `sent` is what people got.

    Offsets behave like Telegram's: every poll gives an update again until a poll with a higher offset has forgotten
    it, so whoever loses updates elsewhere loses them here. The object outlives `close`: a worker made anew goes on
    with what waits, as it would with a server.
    """

    def __init__(
        self,
        config: BotConfig | None = None,
        http: object = None,
        clock: Clock | None = None,
        *,
        identity: Identity | None = None,
    ) -> None:
        super().__init__()
        self.identity = identity or Identity(0, "loopback", "Loopback")
        self.sent: list[Sent] = []
        self.typing: deque[Lane] = deque(maxlen=KEPT)
        self.files: dict[str, bytes] = {}
        self.frames: deque[Frame] = deque(maxlen=KEPT)
        self.presses: deque[tuple[str, str]] = deque(maxlen=KEPT)
        """Buttons that were answered: (callback_id, note)."""
        self.commands: dict[str, list[tuple[str, str]]] = {}
        """Language → the commands published in it."""
        self.acknowledged: int | None = None
        """The highest offset any poll has passed: every update below it is forgotten."""
        self.next_update_id = 1
        self._config = config or BotConfig(channel="none")
        self._clock = clock or SystemClock()
        self._waiting: deque[dict[str, Any]] = deque()
        self._poll: _Poll | None = None
        self._next_message_id = 1

    def say(
        self,
        text: str,
        chat_id: int = 1,
        *,
        user_id: int | None = None,
        topic_id: int = 0,
        name: str = "",
        chat_type: str = "private",
        sent_at: float | None = None,
    ) -> int:
        """Let a person write; return the update_id. Raises RateLimited when KEPT updates wait already."""
        message: dict[str, Any] = {
            "message_id": self.next_update_id,
            "date": int(self._clock.now() if sent_at is None else sent_at),
            "chat": {"id": chat_id, "type": chat_type},
            "from": {"id": abs(chat_id) if user_id is None else user_id, "is_bot": False, "first_name": name},
            "text": text,
        }
        if text.startswith("/"):
            message["entities"] = [{"type": "bot_command", "offset": 0, "length": len(text.split(maxsplit=1)[0])}]
        if topic_id:
            message |= {"message_thread_id": topic_id, "is_topic_message": True}
        return self.push({"message": message})

    def push(self, update: dict[str, Any]) -> int:
        """Queue a raw update, given an update_id when it has none; return that. Raises like `say`."""
        if len(self._waiting) >= KEPT:
            raise RateLimited(f"{KEPT} updates wait in this loopback channel already", retry_after_s=1.0)
        update_id = int(update.get("update_id", self.next_update_id))
        self._waiting.append({"update_id": update_id, **update})
        self.next_update_id = update_id + 1
        if self._poll is not None:
            self._poll.woken.set()
        return update_id

    def jump_ids(self, delta: int) -> None:
        """Let the next update_id jump, downwards too, as it may after a quiet week."""
        self.next_update_id += delta

    def sent_to(self, chat_id: int) -> list[str]:
        """Return the texts a chat has got, in order."""
        return [sent.text for sent in self.sent if sent.chat_id == chat_id]

    @property
    def polling(self) -> bool:
        """Whether a poll waits at this moment."""
        return self._poll is not None

    @property
    def pending(self) -> int:
        """How many updates wait, those given but not yet forgotten included."""
        return len(self._waiting)

    async def identify(self) -> Identity:
        """Return the identity given at construction."""
        if failure := await self._enter("identify"):
            raise failure.error
        return self.identity

    async def poll(self, offset: int | None, *, brief: bool = False) -> list[dict[str, Any]]:
        """Wait for updates, at most the long-poll time; a second poll ends the first with TokenInUse."""
        if failure := await self._enter("poll"):
            raise failure.error
        self._forget_below(offset)
        await anyio.lowlevel.checkpoint()
        if not self._waiting and not brief:
            await self._wait()
        return valid_updates(list(self._waiting)[: 1 if brief else BATCH])

    def _forget_below(self, offset: int | None) -> None:
        # As at Telegram, an offset far above the newest id comes from before a jump and forgets nothing.
        if offset is None or offset > self.next_update_id + FUTURE_SLACK:
            return
        self.acknowledged = offset if self.acknowledged is None else max(self.acknowledged, offset)
        while self._waiting and self._waiting[0]["update_id"] < offset:
            self._waiting.popleft()

    async def _wait(self) -> None:
        if self._poll is not None:
            self._poll.ousted = True
            self._poll.woken.set()
        poll = self._poll = _Poll()
        try:
            with self._clock.deadline(self._config.telegram.poll_timeout_s):
                await poll.woken.wait()
        finally:
            if self._poll is poll:
                self._poll = None
        if poll.ousted:
            raise TokenInUse("another poll of this loopback channel ended this one", "only one worker may poll")

    async def forget_pending(self) -> int | None:
        """Forget all that waits."""
        await anyio.lowlevel.checkpoint()
        if not self._waiting:
            return None
        self._forget_below(self.next_update_id)
        self._waiting.clear()
        return self.next_update_id

    def lane_of(self, update: dict[str, Any]) -> Lane:
        """Return the lane of a raw update."""
        return lane_of(update)

    def read(self, update: dict[str, Any]) -> Incoming | None:
        """Understand a raw update; None when it does not concern the bot. Raises UpdatePoisoned."""
        return read(update, self.identity)

    def render(
        self, lane: Lane, text: str, reply: ReplySection | None = None, buttons: Sequence[tuple[str, str]] = ()
    ) -> list[Outgoing]:
        """Turn an answer into parts, formatted and cut as for Telegram."""
        return answer_parts(lane, text, reply, buttons)

    async def send(self, outgoing: Outgoing) -> int | None:
        """Put one part into `sent`; cancelled while held, it is not delivered."""
        failure = await self._enter("send")
        if failure is not None and not failure.done:
            raise failure.error
        message_id = self._deliver(outgoing)
        if failure is not None:
            raise failure.error
        return message_id

    def _deliver(self, outgoing: Outgoing) -> int:
        message_id, self._next_message_id = self._next_message_id, self._next_message_id + 1
        self.sent.append(Sent(outgoing, message_id, self._clock.now()))
        if len(self.sent) > KEPT:
            del self.sent[: KEPT // 2]
        return message_id

    async def show(self, frame: Frame) -> int | None:
        """Remember the frame in `frames`; one that is no draft has a message of its own, with an id."""
        failure = await self._enter("show")
        if failure is not None and not failure.done:
            raise failure.error
        self.frames.append(frame)
        if failure is not None:
            raise failure.error
        if frame.draft_id or frame.message_id:
            return frame.message_id or None
        message_id, self._next_message_id = self._next_message_id, self._next_message_id + 1
        return message_id

    async def download(self, file_id: str, limit_bytes: int) -> bytes:
        """Return what was put into `files` under this id."""
        if failure := await self._enter("download"):
            raise failure.error
        data = self.files.get(file_id)
        if data is None or len(data) > limit_bytes:
            raise SendRefused("the file is gone" if data is None else f"the file has more than {limit_bytes} bytes")
        return data

    def refused_formats(self) -> int:
        """Return 0: any formatting is taken here."""
        return 0

    def show_typing(self, lane: Lane) -> None:
        """Remember the lane in `typing`."""
        self.typing.append(lane)

    def answer_press(self, callback_id: str, note: str = "") -> None:
        """Remember the press in `presses`."""
        self.presses.append((callback_id, note))

    async def publish_commands(self, commands: Sequence[tuple[str, str]], language: str = "") -> None:
        """Put the list into `commands`, or take it out."""
        if failure := await self._enter("publish"):
            raise failure.error
        self.commands.pop(language, None)
        if commands:
            self.commands[language] = list(commands)

    def throttled_s(self) -> float:
        """Return 0: nobody asks for patience here."""
        return 0.0

    def apply(self, config: BotConfig) -> None:
        """Take over the long-poll time."""
        self._config = config

    async def close(self) -> None:
        """Let go of nothing: what waits and what was sent stays readable."""
