"""An answer seen while it is being made: frames of it, now and then, that may be lost; the final one never is."""

from __future__ import annotations

import logging
from typing import Final, Literal

import anyio

from workers.channels.base import Channel, Frame, Lane
from workers.errors import ChannelError, ChannelUnreachable, RateLimited, SendRefused, SendUncertain
from workers.shown import Ledger

logger = logging.getLogger(__name__)

EVERY_S: Final = 1.0
"""Telegram takes one message a second into a chat, an edit being one."""

EVERY_IN_GROUPS_S: Final = 3.0
"""And twenty a minute into a group."""

FRAMES_AT_ONCE: Final = 8
"""Frames of one bot on their way at once; those beyond are dropped. A slow server must not gather tasks."""

LONGEST_FRAME: Final = 4000
"""Characters of an answer a frame shows; what is beyond comes with the answer."""

How = Literal["edit", "draft", "auto"]


class Preview:
    """One answer under way, as its chat sees it. A listener of the model: `piece` and `restart` never wait.

    By drafts, which vanish, or by a message that is edited and in the end becomes the first part of the answer. What becomes
    of it goes into the ledger: a turn begun again after a crash goes on with that message, and one answer stays; only
    where the crash met it on its way nobody knows its number, and that is counted.
    """

    __slots__ = (
        "_channel",
        "_closed",
        "_every_s",
        "_full",
        "_how",
        "_lane",
        "_ledger",
        "_reply_to",
        "_showing",
        "_shown",
        "_text",
        "_update_id",
        "left_at",
        "message_id",
        "next_at",
    )  # fmt: skip

    def __init__(
        self, channel: Channel, lane: Lane, update_id: int, how: How, ledger: Ledger,
        *, private: bool, message_id: int = 0, reply_to: int = 0,
    ) -> None:  # fmt: skip
        self.message_id = message_id
        self.next_at = 0.0
        """Monotonic moment before which no frame is due."""
        self.left_at: float | None = None
        """Monotonic moment the last frame left; None when there was none, or it was not shown."""
        self._channel = channel
        self._lane = lane
        self._reply_to = reply_to
        self._update_id = update_id
        self._ledger = ledger
        self._every_s = EVERY_S if private else EVERY_IN_GROUPS_S
        # A message shown by an earlier run has to become the answer: no drafts beside it.
        self._how: How = how if private and not message_id else "edit"
        if how == "draft" and self._how == "edit" and not message_id:
            self._closed = True  # drafts only, and there are none in groups
        else:
            self._closed = False
        self._text: list[str] = []
        self._shown = 0
        self._full = False  # what is shown is all a frame can show
        self._showing: anyio.Event | None = None

    def piece(self, text: str) -> None:
        """Note what the model said next."""
        self._text.append(text)

    def restart(self) -> None:
        """Forget what it said: another model begins anew."""
        self._text = []
        self._shown = 0
        self._full = False

    @property
    def characters(self) -> int:
        """How much the model has said by now; added up for who asks."""
        return sum(map(len, self._text))

    def due(self, now: float) -> bool:
        """Tell whether there is something new to show at a monotonic moment, and nothing under way."""
        if self._closed or self._full or self._showing is not None:
            return False
        return now >= self.next_at and len(self._text) != self._shown

    def begin(self, now: float) -> None:
        """Count a frame as on its way; `show` is to follow."""
        self._showing = anyio.Event()
        self.left_at = now
        self.next_at = now + self._every_s

    async def show(self) -> None:
        """Send one frame. Whatever becomes of it, the answer is not held up and nobody is told but the log."""
        showing = self._showing
        assert showing is not None, "begin comes first"
        try:
            if not await self._send():
                self.left_at = None
        finally:
            self._showing = None
            showing.set()

    async def _send(self) -> bool:
        """Tell whether the frame was shown."""
        said = self._text
        pieces, text = len(said), "".join(said)[:LONGEST_FRAME]
        if not text.strip():
            return False
        draft_id = self._update_id if self._how != "edit" else 0
        frame = Frame(self._lane, text, draft_id, self.message_id, self._reply_to)
        try:
            await (self._channel.show(frame) if draft_id or self.message_id else self._begin(frame))
        except RateLimited as error:  # the next frame shows more
            self.next_at = max(self.next_at, self.next_at - self._every_s + error.retry_after_s)
        except SendRefused as error:
            self._refused(error)
        except ChannelUnreachable:
            pass
        except ChannelError as error:
            # A first frame that may be there without our knowing its number is the last one.
            logger.debug("no more frames of this answer: %s", error)
            self._closed = self._closed or not self.message_id
        else:
            if said is self._text:  # not forgotten meanwhile
                self._shown, self._full = pieces, len(text) == LONGEST_FRAME
            return True
        return False

    async def _begin(self, frame: Frame) -> None:
        """Send the message that is to become the answer. Raises what `Channel.show` does; SendUncertain without a number."""
        await self._ledger.leaving()
        try:
            self.message_id = await self._channel.show(frame) or 0
            if not self.message_id:
                raise SendUncertain("the server gave the message no number")
        except (RateLimited, SendRefused, ChannelUnreachable):
            await self._ledger.stayed()
            raise
        except ChannelError:
            await self._ledger.doubtful()
            raise
        await self._ledger.arrived(self.message_id)

    def _refused(self, error: SendRefused) -> None:
        """Go on by edits where the server knows no drafts; give up otherwise."""
        if self._how == "auto":
            self._how = "edit"
            return
        logger.debug("no frames of this answer: %s", error)
        self._closed = True

    async def close(self) -> int:
        """End it; return the id of the message that is to become the answer, 0 for none.

        Waits for a frame that is on its way: none may arrive after the answer. Cancelling is safe.
        """
        self._closed = True
        if self._showing is not None:
            await self._showing.wait()
        return self.message_id
