"""Every key of fleet.toml and bots/*.toml: type, unit, default, help and reload effect, declared once."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from config.vocabulary import PROVIDERS, Effect, Secret


def key(help_text: str, effect: Effect, unit: str = "", *, example: str = "", allowed: str = "", **more: Any) -> Any:
    """Declare one key.

    example is TOML for its value; allowed says in words what it takes, where the type and limits do not. Other
    keyword arguments go to pydantic's Field (default, ge, le, …).
    """
    extra = {"effect": effect.value, "unit": unit, "example": example, "allowed": allowed}
    return Field(description=help_text, json_schema_extra={name: text for name, text in extra.items() if text}, **more)


class Section(BaseModel):
    """One TOML table: unknown keys are refused, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False, hide_input_in_errors=True)


def web_address(text: str) -> str:
    """Return text when it is an http or https address with a host. Raises ValueError (never quoting it) otherwise."""
    if not text.isprintable() or " " in text:
        raise ValueError("an address holds no blanks")
    parts = urlsplit(text)  # raises ValueError for a broken [IPv6] host
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("an address begins with http:// or https:// and names a host")
    if parts.port is not None and not 0 < parts.port <= 65535:
        raise ValueError("a port is a number from 1 to 65535")
    if parts.query or parts.fragment:
        raise ValueError("an address to build on ends without ? and #")
    return text


def file_name(text: str) -> str:
    """Return text when it may name a file. Raises ValueError (never quoting it) otherwise."""
    if not text.isprintable():
        raise ValueError("a file's name holds no control characters")
    return text


FileName = Annotated[str, AfterValidator(file_name)]
Address = Annotated[str, AfterValidator(web_address)]
ADDRESS = "an http:// or https:// address without ? and #"


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


class LlmSection(Section):
    """`[llm]`: the model that answers."""

    provider: str = key(
        "Provider name: openai (any compatible server) or echo (repeats what it is told).",
        Effect.NEXT_TURN,
        default="echo",
        example='"openai"',
        allowed=" or ".join(f'"{name}"' for name in PROVIDERS),
    )
    model: str = key(
        "Model name at the provider; echo needs none.", Effect.NEXT_TURN, default="", example='"gpt-4o-mini"'
    )
    base_url: Address = key(
        "Root of the provider's API.",
        Effect.NEXT_TURN,
        default="https://api.openai.com/v1",
        allowed=ADDRESS,
        example='"http://127.0.0.1:11434/v1"',
    )
    api_key: Secret | None = key(
        "API key, as a reference; a server of your own may need none.",
        Effect.NEXT_TURN,
        default=None,
        example='"${OPENAI_API_KEY}"',
        allowed="a text, best as ${NAME}, file: or cmd:",
    )
    temperature: float | None = key(
        "Sampling temperature; unset = the provider's own.",
        Effect.NEXT_TURN,
        default=None,
        ge=0,
        le=2,
        example="0.3",
    )
    max_output_tokens: int | None = key(
        "Upper limit of one answer; unset = the provider's own.",
        Effect.NEXT_TURN,
        "tokens",
        default=None,
        ge=1,
        example="800",
    )
    timeout_s: float = key("Limit of one whole model call.", Effect.NEXT_TURN, "s", default=60.0, gt=0, le=3600)
    options: dict[str, Any] = key(
        "Provider-specific options; of echo: delay_s, fail_rate, seed.",
        Effect.NEXT_TURN,
        default_factory=dict,
        example="{ delay_s = 0.5 }",
        repr=False,
    )


class PromptsSection(Section):
    """`[prompts]`: what the model is told."""

    system: str = key("The system prompt.", Effect.NEXT_TURN, default="You are a helpful assistant.")


class MemorySection(Section):
    """`[memory]`: what of the conversation the model sees."""

    type: Literal["none", "buffer"] = key("none, or buffer (the last messages).", Effect.NEXT_TURN, default="buffer")
    max_messages: int = key("Messages of the buffer.", Effect.NEXT_TURN, "messages", default=20, ge=0, le=1000)


class ReplySection(Section):
    """`[reply]`: what people read."""

    error_text: str = key(
        "Sent when no answer could be had.",
        Effect.NEXT_TURN,
        default="Sorry, I cannot answer right now. Please try again in a minute.",
        min_length=1,
    )


class LimitsSection(Section):
    """`[limits]`: how much of the fleet one bot may take."""

    max_open_updates: int = key(
        "Inbox back-pressure: polling waits above it.", Effect.IN_PLACE, "updates", default=1000, ge=1
    )
    max_lanes: int = key("Turns at once.", Effect.IN_PLACE, "turns", default=32, ge=1)


class BotConfig(Section):
    """One bot file, `bots/<bot_id>.toml`, with every layer below it merged in."""

    name: str = key("Name shown to the operator; empty = bot_id.", Effect.IN_PLACE, default="")
    enabled: bool = key("Whether the bot is to run.", Effect.RESTART, default=True)
    channel: Literal["telegram", "none"] = key("Where messages come from.", Effect.RESTART, default="telegram")
    client_id: str = key("Tenant when the channel gives none.", Effect.NEXT_TURN, default="")
    telegram: TelegramSection = TelegramSection()
    llm: LlmSection = LlmSection()
    prompts: PromptsSection = PromptsSection()
    memory: MemorySection = MemorySection()
    reply: ReplySection = ReplySection()
    limits: LimitsSection = LimitsSection()


class FleetSection(Section):
    """`[fleet]`: the fleet as a whole."""

    name: str = key("Name shown to the operator; empty = the folder's name.", Effect.FLEET, default="")
    environment: str = key("Environment when neither --env nor BOTDECK_ENV names one.", Effect.RESTART, default="")
    database: FileName = key("SQLite file, relative to the folder.", Effect.FLEET, default="botdeck.db", min_length=1)


class StartSection(Section):
    """`[start]`: pacing of a cold start."""

    rate_per_s: float = key("Bots started a second; 0 = unpaced.", Effect.IN_PLACE, "1/s", default=10.0, ge=0)
    max_starting: int = key("Bots in phase starting at once.", Effect.IN_PLACE, "bots", default=20, ge=1)


class StoreSection(Section):
    """`[store]`: how hard the database holds on."""

    durability: Literal["full", "normal"] = key(
        "full: every commit survives a power cut; normal: a process crash only.", Effect.FLEET, default="full"
    )


class LogSection(Section):
    """`[log]`: what is written down."""

    level: Literal["debug", "info", "warning", "error"] = key("Least level kept.", Effect.IN_PLACE, default="info")
    format: Literal["human", "json"] = key("Form of lines on stderr.", Effect.FLEET, default="human")


class RetentionSection(Section):
    """`[retention]`: days each kind of row is kept, and rows of a bot's journals; 0 = for ever, or any number."""

    updates_days: int = key("Answered updates, kept to recognise repeats.", Effect.IN_PLACE, "days", default=7, ge=1)
    outbox_days: int = key("Finished sends.", Effect.IN_PLACE, "days", default=7, ge=0)
    messages_days: int = key("Conversation messages.", Effect.IN_PLACE, "days", default=365, ge=0)
    events_days: int = key("Journal of events.", Effect.IN_PLACE, "days", default=30, ge=0)
    logs_days: int = key("Log lines.", Effect.IN_PLACE, "days", default=7, ge=0)
    metrics_days: int = key("Minute roll-ups.", Effect.IN_PLACE, "days", default=30, ge=0)
    usage_days: int = key("Tokens per turn.", Effect.IN_PLACE, "days", default=400, ge=0)
    rows_per_bot: int = key(
        "Log lines, and events, kept of each bot at most, whatever their age.",
        Effect.IN_PLACE,
        "rows",
        default=50_000,
        ge=0,
    )


class FleetConfig(Section):
    """`fleet.toml`: everything that is not one bot's."""

    fleet: FleetSection = FleetSection()
    defaults: dict[str, Any] = key(
        "Any key of a bot file, under every bot that does not set it itself.",
        Effect.RESTART,
        default_factory=dict,
        repr=False,
    )
    start: StartSection = StartSection()
    store: StoreSection = StoreSection()
    log: LogSection = LogSection()
    retention: RetentionSection = RetentionSection()
