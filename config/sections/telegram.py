"""`[telegram]`."""

from __future__ import annotations

from typing import Literal

from config.sections.base import ADDRESS, Address, Section, key
from config.vocabulary import Effect, Secret


class TelegramSection(Section):
    """`[telegram]`: how the bot reaches the Bot API."""

    token: Secret | None = key(
        "Bot token from @BotFather, as a reference. Required of an enabled bot on Telegram.",
        Effect.RESTART,
        default=None,
        example='"${SUPPORT_TOKEN}"',
        allowed="a bot token (digits, a colon, 30 or more letters, digits, _ and -), best as ${NAME}, file: or cmd:",
    )
    base_url: Address = key(
        "Bot API root; the token is appended.",
        Effect.RESTART,
        default="https://api.telegram.org/bot",
        allowed=ADDRESS,
        example='"http://127.0.0.1:8081/bot"',
    )
    base_file_url: Address = key(
        "Root for downloads.",
        Effect.RESTART,
        default="https://api.telegram.org/file/bot",
        allowed=ADDRESS,
        example='"http://127.0.0.1:8081/file/bot"',
    )
    poll_timeout_s: int = key("Long poll; the server clamps it to 50.", Effect.IN_PLACE, "s", default=50, ge=0, le=50)
    drop_pending_updates: bool = key(
        "Forget what waited at the server before the first start.", Effect.RESTART, default=False
    )
    max_update_age_s: int = key(
        "Older messages get one apology per chat, no answer.", Effect.IN_PLACE, "s", default=86400, ge=1
    )
    ambiguous_send: Literal["resend", "skip"] = key(
        "A send that was cut off in flight: send again, or skip.", Effect.IN_PLACE, default="resend"
    )
