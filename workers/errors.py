"""The errors of the workers.

FleetError
├── ChannelError              the channel did not do what was asked
│   ├── ChannelUnreachable    network, 5xx, time-out, garbage: reconnect in place, never a crash
│   ├── TokenRejected         401 or a confirmed 404: the bot is invalid until something changes
│   ├── TokenInUse            409: somebody else polls, or a webhook is set
│   ├── RateLimited           429: wait retry_after_s
│   ├── SendUncertain         the request left, its answer never came: it may have been done
│   ├── SendRefused           400/403: this message cannot be delivered; others can
│   └── UpdatePoisoned        an update that cannot be understood
├── ProviderError             the model gave no answer
│   ├── ProviderUnavailable   network, 5xx, 429, overload: worth another try (retry_after_s)
│   ├── ProviderTimeout       the call took longer than allowed: worth another try
│   └── ProviderRefused       bad key, unknown model: trying again is useless
│       └── RequestRefused    this request alone: the server is there, the next message may be answered
├── BotInvalid                the bot cannot run until its configuration or the world changes
├── NoSuchBot                 no bot of that id
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
    """This message cannot be delivered; the bot is fine."""


class UpdatePoisoned(ChannelError):
    """An update that cannot be understood."""


class ProviderError(FleetError):
    """The model gave no answer."""

    def __init__(self, message: str, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint)
        self.retry_after_s = retry_after_s


class ProviderUnavailable(ProviderError):
    """Network, 5xx, 429 or overload: worth another try."""


class ProviderTimeout(ProviderError):
    """The call took longer than allowed: worth another try."""


class ProviderRefused(ProviderError):
    """Bad key, unknown model, bad request: trying again is useless."""


class RequestRefused(ProviderRefused):
    """The server is there and refuses this one request (too long, filtered); others may be answered."""


class BotInvalid(FleetError):
    """The bot cannot run until its configuration or the world changes."""

    exit_code = 2


class NoSuchBot(FleetError):
    """No bot of that id."""

    exit_code = 4


class WrongPhase(FleetError):
    """What was asked makes no sense in the bot's phase."""
