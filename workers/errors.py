"""The errors of the workers.

FleetError
├── ChannelError              the channel did not do what was asked
│   ├── ChannelUnreachable    network, 5xx, time-out, garbage: reconnect in place, never a crash
│   ├── TokenRejected         401 or a confirmed 404: the bot is invalid until something changes
│   ├── TokenInUse            409: somebody else polls, or a webhook is set
│   ├── RateLimited           429: wait retry_after_s
│   ├── SendUncertain         the request left, its answer never came: it may have been done
│   ├── SendRefused           400/403: this message cannot be delivered; others can
│   ├── UpdatePoisoned        an update that cannot be understood
│   └── UpdatesUnusable       a batch of updates none of which has an id
├── ProviderError             the model gave no answer
│   ├── ProviderUnavailable   network, 5xx, 429, overload: worth another try (retry_after_s)
│   │   └── AnswerUnusable    the server is there, what the model said is of no use: worth another try
│   ├── ProviderTimeout       the call took longer than allowed: worth another try
│   └── ProviderRefused       bad key, unknown model: trying again is useless
│       └── RequestRefused    this request alone: the server is there, the next message may be answered
├── TurnFailedError           the model could not answer a question; nothing of it is stored
├── RateLimitError            a client, a person, a chat or a bot is asked too often; retry_after_s
│   └── QueueFull             too many questions wait already
├── BotClosed                 the bot answers nobody any more: it was removed, or its manager was closed
├── LoaderUnusable            a loader of configurations gave something that is none
├── MediaFailed               a file that came with a message cannot be understood
├── ToolFailed                a tool gave no result; the message is told to the model
├── BotInvalid                the bot cannot run until its configuration or the world changes
├── NoSuchBot                 no bot of that id
│   └── UnknownBot            none is registered under it, or it is deactivated; a KeyError too
├── UnknownVersion            a registration has no version of that number; a KeyError too
└── WrongPhase                what was asked makes no sense in the bot's phase
"""

from __future__ import annotations

from config.errors import FleetError


class ChannelError(FleetError):
    """The channel did not do what was asked."""


class ChannelUnreachable(ChannelError):
    """Network, 5xx, time-out or garbage; nothing was done at the other end, trying again is safe."""


class TokenRejected(ChannelError):
    """The server does not know the token."""


class TokenInUse(ChannelError):
    """Somebody else receives this token's updates."""


class RateLimited(ChannelError):
    """The server asks for patience."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class SendUncertain(ChannelError):
    """The request left and its answer never came: it may or may not have been done."""


class SendRefused(ChannelError):
    """This message cannot be delivered; the bot is fine. gone: nothing can be, since the chat is closed to the bot."""

    def __init__(self, message: str, hint: str = "", *, gone: bool = False) -> None:
        super().__init__(message, hint)
        self.gone = gone


class UpdatePoisoned(ChannelError):
    """An update that cannot be understood."""


class UpdatesUnusable(ChannelError):
    """A whole batch that cannot be journaled. count: of how many entries; mark: the same for the same batch."""

    def __init__(self, message: str, batch: list[object]) -> None:
        super().__init__(message)
        self.count = len(batch)
        self.mark = hash(repr(batch))


class ProviderError(FleetError):
    """The model gave no answer."""

    def __init__(self, message: str, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after_s = retry_after_s


class ProviderUnavailable(ProviderError):
    """Network, 5xx, 429 or overload: worth another try."""


class AnswerUnusable(ProviderUnavailable):
    """The server is there, but what the model said is of no use (nothing, no end): worth another try."""


class ProviderTimeout(ProviderError):
    """The call took longer than allowed: worth another try."""


class ProviderRefused(ProviderError):
    """Bad key, unknown model, bad request: trying again is useless."""


class RequestRefused(ProviderRefused):
    """The server is there and refuses this one request (too long, filtered); others may be answered."""


class TurnFailedError(FleetError):
    """A question could not be answered; nothing of it is stored. The message holds no secret.

    text is what a person may be told (`[reply] error_text`); away says that the model is out of reach, so that the next
    question would fare no better.
    """

    def __init__(self, message: str, hint: str = "", *, text: str = "", away: bool = False) -> None:
        super().__init__(message, hint)
        self.text = text
        self.away = away


class RateLimitError(FleetError):
    """More was asked than a bot's limits allow. scope: client, user, chat or bot, whose limit it is."""

    def __init__(self, scope: str, per_min: int, retry_after_s: float) -> None:
        super().__init__(
            f"more than {per_min} messages a minute of one {scope}",
            f"ask again in {retry_after_s:.0f} s, or raise limits.{scope}_per_min",
        )
        self.scope = scope
        self.retry_after_s = retry_after_s


class QueueFull(RateLimitError):
    """Too many questions wait already. scope: chat or bot, whose questions they are."""

    def __init__(self, scope: str, most: int, retry_after_s: float = 1.0) -> None:
        FleetError.__init__(
            self, f"{most} questions of one {scope} wait already", "wait for an answer before asking on"
        )
        self.scope = scope
        self.retry_after_s = retry_after_s


class BotClosed(FleetError):
    """The bot answers nobody any more; get it anew from where it came from."""


class LoaderUnusable(FleetError):
    """A loader of configurations gave something that is none."""


class MediaFailed(FleetError):
    """A file that came with a message cannot be understood. key names the text its sender is told."""

    def __init__(self, key: str, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.key = key


class ToolFailed(FleetError):
    """A tool gave no result. The message is told to the model: it says what to do better, and holds no secret."""


class BotInvalid(FleetError):
    """The bot cannot run until its configuration or the world changes."""

    exit_code = 2


class NoSuchBot(FleetError):
    """No bot of that id."""

    exit_code = 4


class UnknownBot(NoSuchBot, KeyError):
    """No bot is registered under that id, or it is deactivated."""


class UnknownVersion(FleetError, KeyError):
    """A registration has no version of that number."""

    exit_code = 4


class WrongPhase(FleetError):
    """What was asked makes no sense in the bot's phase."""
