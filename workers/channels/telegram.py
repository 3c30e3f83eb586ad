"""The Telegram channel: raw updates in by long poll, answers out, over the fleet's one HTTP session.

python-telegram-bot gives the Bot (for getMe and whatever is not hot) and the errors; its Updater is not used, since it
acknowledges updates before anybody has them. The two hot calls build none of its objects.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from typing import Any, Final, TypeVar

from telegram import Bot, User
from telegram.error import TelegramError
from yarl import URL

from config.schema import BotConfig, ReplySection, TelegramSection
from workers.channels.base import Frame, Identity, Incoming, Lane, Outgoing
from workers.channels.besides import Besides, Courteous
from workers.channels.download import DOWNLOAD_S, fetched
from workers.channels.faults import Garbage, TooLarge, TooLate, as_refused, channel_error, scrub
from workers.channels.formats import Formats
from workers.channels.frames import MORE_TO_COME, done_already, framed
from workers.channels.incoming import clean, is_id, lane_of, read, stand_in, valid_updates
from workers.channels.outgoing import moved
from workers.channels.transport import AiohttpRequest, json_body
from workers.clock import Clock
from workers.errors import (
    BotInvalid,
    ChannelError,
    ChannelUnreachable,
    RateLimited,
    SendRefused,
    TokenRejected,
    UpdatesUnusable,
)
from workers.http import Http
from workers.limits import Deadlines

log = logging.getLogger(__name__)

# At DEBUG python-telegram-bot writes the Bot API URL, token included.
logging.getLogger("telegram").setLevel(logging.WARNING)

ALLOWED_UPDATES: Final = ("message", "edited_message", "callback_query", "my_chat_member")
"""Kinds of updates asked for, those of features to come included.

The server drops other kinds when they are made and does not bring them back once the list is wider; whoever asks
early loses nothing when such a feature is switched on, because the updates lie in the inbox already. Not
message_reaction: it only comes to administrators, in large numbers, and says nothing that asks for an answer.
"""

BATCH: Final = 100
POLL_SLACK_S: Final = 10.0
"""What an answer to a long poll may take beyond its own time before the server counts as silent."""

SEND_TIMEOUT_S: Final = 30.0
READ_TIMEOUT_S: Final = 20.0
FRAME_TIMEOUT_S: Final = 5.0
MAX_MOVED: Final = 256

_T = TypeVar("_T")


class TelegramChannel(Courteous):
    """One bot at the Bot API. Raises BotInvalid at construction when token or base URL cannot be used at all.

    Every answer is waited for by the clock given, never longer than the constants above. No error, and nothing an
    error is chained to, holds the token.
    """

    __slots__ = (
        "_bot",
        "_clean",
        "_clock",
        "_deadlines",
        "_formats",
        "_identity",
        "_moved",
        "_poll_tail",
        "_poll_timeout_s",
        "_request",
        "_section",
        "_send_url",
        "_updates_url",
    )

    def __init__(self, config: BotConfig, http: Http, clock: Clock) -> None:
        self._section = config.telegram
        self._clock = clock
        self._request = AiohttpRequest(http)
        self._clean = http.clean
        self._deadlines = Deadlines(clock)
        self._bot: Bot | None = None
        self._moved: dict[int, int] = {}
        self._formats = Formats()
        self._identity: Identity | None = None
        super().__init__(Besides(self._ask, self._fault, self._deadlines, self._moved))
        self._updates_url = _url(self._section, "getUpdates")
        self._send_url = _url(self._section, "sendMessage")
        self.apply(config)

    @property
    def bot(self) -> Bot:
        """Return python-telegram-bot's Bot for calls that are not hot; its errors are telegram.error's."""
        if self._bot is None:
            self._bot = self._make_bot()
        return self._bot

    def _make_bot(self) -> Bot:
        request, section = self._request, self._section
        return Bot(
            _token(section), section.base_url, section.base_file_url, request=request, get_updates_request=request
        )

    async def identify(self) -> Identity:
        """Ask getMe who we are, after the deadline for polls. Raises TokenRejected, ChannelUnreachable, RateLimited."""
        await self._deadlines.wait_to_poll()
        bot = self._bot or self._make_bot()  # not kept for this one call: it weighs 5 KiB, a fifth of an idle bot
        failure: TelegramError
        try:
            me = _identity(await self._within(READ_TIMEOUT_S, bot.get_me()))
        except TelegramError as error:
            failure = error
        except (AttributeError, KeyError, TypeError, ValueError):  # it parses whatever a server says
            failure = Garbage(200)
        else:
            self._identity = me
            return me
        raise self._read_fault(failure)

    async def poll(self, offset: int | None, *, brief: bool = False) -> list[dict[str, Any]]:
        """Wait for raw updates, at most the long-poll time and POLL_SLACK_S; see Channel.poll."""
        if self._deadlines.poll_left_s():
            await self._deadlines.wait_to_poll()
        head = b"{" if offset is None else b'{"offset":%d,' % offset
        if brief:
            return _journalable(await self._fetch(head + _BRIEF_TAIL, POLL_SLACK_S, alone=True))
        return _journalable(await self._fetch(head + self._poll_tail, self._poll_timeout_s + POLL_SLACK_S))

    async def forget_pending(self) -> int | None:
        """Forget what waits at the server: ask for the newest update alone, then acknowledge it."""
        await self._deadlines.wait_to_poll()
        newest = valid_updates(await self._fetch(_poll_body(offset=-1, limit=1, timeout=0), READ_TIMEOUT_S))
        if not newest:
            return None
        next_offset = int(newest[-1]["update_id"]) + 1
        await self._fetch(_poll_body(offset=next_offset, limit=1, timeout=0), READ_TIMEOUT_S)
        return next_offset

    async def _fetch(self, body: bytes, limit_s: float, *, alone: bool = False) -> list[Any]:
        failure: TelegramError
        try:
            result = await self._within(limit_s, self._request.call(self._updates_url, body))
        except TelegramError as error:
            failure = error.with_traceback(None)  # whose frames hold the answer, and this one the error: a circle
        else:
            if isinstance(result, list):
                return result
            failure = Garbage(200)
            del result  # as above
        if alone and isinstance(failure, TooLarge) and (update := stand_in(failure.head)) is not None:
            return [update]  # asked for again, it would be as large
        fault = self._read_fault(failure)
        raise await self._confirmed(fault) if isinstance(fault, TokenRejected) else fault

    def lane_of(self, update: dict[str, Any]) -> Lane:
        """Return the lane of a raw update; Lane(0) when it belongs to no chat. Never raises."""
        return lane_of(update)

    def read(self, update: dict[str, Any]) -> Incoming | None:
        """Understand a raw update; None when it asks for no answer. Raises UpdatePoisoned."""
        return read(update, self._identity)

    def render(
        self, lane: Lane, text: str, reply: ReplySection | None = None, buttons: Sequence[tuple[str, str]] = ()
    ) -> list[Outgoing]:
        """Turn an answer into calls the server takes; see Channel.render."""
        return self._formats.render(lane, text, reply, buttons)

    def refused_formats(self) -> int:
        """Return how many parts lost their formatting since this was last asked."""
        return self._formats.refusals()

    async def send(self, outgoing: Outgoing) -> int | None:
        """Send one part after the later of its chat's and the bot's deadline; see Channel.send.

        Refused by the server for a reason that can be amended (`outgoing.amended`), it is sent again in that form.
        """
        part = self._at_its_place(outgoing)
        failure: TelegramError | None = None
        for _ in range(3):
            if self._deadlines.chat_left_s(part.chat_id):
                await self._deadlines.wait_to_send(part.chat_id)
            try:
                return await self._deliver(part)
            except TelegramError as error:
                failure = error.with_traceback(None)  # see `_fetch`
            if part.repeatable and done_already(part.method, failure):
                return part.params.get("message_id")
            better = self._amended(part, failure)
            if better is None:
                break
            part = better
        raise await self._send_fault(failure or TooLate(), part.chat_id)

    async def _deliver(self, part: Outgoing, limit_s: float = SEND_TIMEOUT_S) -> int | None:
        url = self._send_url if part.method == "sendMessage" else _url(self._section, part.method)
        result = await self._within(limit_s, self._request.deliver(url, part.params))
        self._formats.taken(part)
        message_id = result.get("message_id") if isinstance(result, dict) else None
        return message_id if isinstance(message_id, int) and is_id(message_id) else None

    def _amended(self, part: Outgoing, failure: TelegramError) -> Outgoing | None:
        refused = as_refused(failure)
        if refused is None:
            return None
        better = self._formats.amended(part, refused)
        if better is not None and better.chat_id != part.chat_id:
            log.warning("chat %d became the supergroup %d; answers go there", part.chat_id, better.chat_id)
            self._moved[part.chat_id] = better.chat_id
            if len(self._moved) > MAX_MOVED:  # forgotten, the server says it again
                del self._moved[next(iter(self._moved))]
        return better

    def _at_its_place(self, part: Outgoing) -> Outgoing:
        place = self._moved.get(part.chat_id) if self._moved else None
        return part if place is None else moved(part, place)

    async def show(self, frame: Frame) -> int | None:
        """Show an answer that is not whole yet, by sendMessageDraft, sendMessage or editMessageText; see Channel.show."""
        chat_id = self._moved.get(frame.lane.chat_id, frame.lane.chat_id)
        if left_s := self._deadlines.chat_left_s(chat_id):
            raise RateLimited("the chat's deadline is not there yet", retry_after_s=left_s)
        part = self._at_its_place(framed(self.render(frame.lane, f"{frame.text} {MORE_TO_COME}")[0], frame))
        failure: TelegramError
        try:
            return await self._deliver(part, FRAME_TIMEOUT_S)
        except TelegramError as error:
            failure = error
        if done_already(part.method, failure):
            return frame.message_id or None
        raise self._frame_fault(failure, chat_id)

    def _frame_fault(self, failure: TelegramError, chat_id: int) -> ChannelError:
        """Return what a frame failed with. Whether the token is still known is for the answer to find out."""
        fault = self._fault(failure)
        if isinstance(fault, RateLimited):
            self._deadlines.block_chat(chat_id, fault.retry_after_s)
        return SendRefused(f"no frames here: {fault.message}") if isinstance(fault, TokenRejected) else fault

    async def download(self, file_id: str, limit_bytes: int) -> bytes:
        """Fetch a file that came with a message, within DOWNLOAD_S; see Channel.download."""
        failure: TelegramError
        try:
            return await self._within(DOWNLOAD_S, fetched(self._request, self._section, file_id, limit_bytes))
        except TelegramError as error:
            failure = error.with_traceback(None)
        refused = as_refused(failure)
        if refused is not None and refused.code in {400, 404, 413}:
            raise SendRefused(scrub(refused.description, _token(self._section), self._clean))
        raise self._read_fault(failure)

    def throttled_s(self) -> float:
        """Return for how long the server has asked this bot as a whole for patience, in seconds; 0 = not at all."""
        return self._deadlines.bot_left_s()

    def apply(self, config: BotConfig) -> None:
        """Take over poll_timeout_s from the next poll on; token and URLs need a channel made anew."""
        self._poll_timeout_s = config.telegram.poll_timeout_s
        self._poll_tail = _poll_body(timeout=self._poll_timeout_s, limit=BATCH)[1:]

    async def close(self) -> None:
        """End what is under way in the background; the session is the fleet's. The channel may be used again."""
        await self._besides.close()

    async def _ask(self, method: str, params: dict[str, Any], limit_s: float) -> Any:
        return await self._within(limit_s, self._request.call(_url(self._section, method), json_body(params)))

    async def _within(self, limit_s: float, call: Awaitable[_T]) -> _T:
        with self._clock.deadline(limit_s):
            return await call
        raise TooLate(f"no answer within {limit_s:g} s")

    def _fault(self, failure: TelegramError) -> ChannelError:
        return channel_error(failure, _token(self._section), sending=True, clean=self._clean)

    def _read_fault(self, failure: TelegramError) -> ChannelError:
        fault = channel_error(failure, _token(self._section), sending=False, clean=self._clean)
        if isinstance(fault, RateLimited):
            self._deadlines.block_bot(fault.retry_after_s)
        return fault

    async def _send_fault(self, failure: TelegramError, chat_id: int) -> ChannelError:
        fault = self._fault(failure)
        if isinstance(fault, RateLimited):
            self._deadlines.block_chat(chat_id, fault.retry_after_s)
        if not isinstance(fault, TokenRejected):
            return fault
        refused = as_refused(failure)
        known = refused is not None and refused.code == 404
        return await self._confirmed(fault, SendRefused("Telegram does not know this method: 404") if known else None)

    async def _confirmed(self, rejected: TokenRejected, otherwise: ChannelError | None = None) -> ChannelError:
        """Return what a 401 or 404 means after asking getMe once: a gateway gives them too, and TokenRejected is final."""
        try:
            await self.identify()
        except TokenRejected:
            return rejected
        except ChannelError as fault:
            return fault
        return otherwise or ChannelUnreachable(f"{rejected.message}; yet getMe knows it", "it is tried again")


def _journalable(result: list[Any]) -> list[dict[str, Any]]:
    updates = valid_updates(result)
    if result and not updates:
        raise UpdatesUnusable("Telegram sends only updates without a usable update_id", result)
    if len(updates) < len(result):
        log.warning("%d entries of a batch have no usable update_id and are dropped", len(result) - len(updates))
    return updates


def _token(section: TelegramSection) -> str:
    return section.token.reveal() if section.token else ""


def _url(section: TelegramSection, method: str) -> URL:
    try:
        url = URL(f"{section.base_url}{_token(section)}/{method}", encoded=True)
        usable = url.scheme in {"http", "https"} and bool(url.host) and bool(section.token)
    except ValueError:
        usable = False
    if not usable:
        raise BotInvalid("telegram.token is missing or telegram.base_url is no http(s) URL", "see `botdeck check`")
    return url


def _poll_body(**parameters: int) -> bytes:
    return json_body({**parameters, "allowed_updates": ALLOWED_UPDATES})


# One update and no more: where a whole batch takes too long, the next try must bring less, or nothing ever comes.
_BRIEF_TAIL: Final = _poll_body(timeout=0, limit=1)[1:]


def _identity(user: User) -> Identity:
    if not isinstance(user.id, int) or not is_id(user.id):
        raise ValueError("the id is no id")
    return Identity(user.id, clean(str(user.username or "")), clean(str(user.first_name or "")))
