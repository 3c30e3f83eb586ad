"""The tables of fleet.toml."""

from __future__ import annotations

from typing import Literal

from config.sections.base import FileName, Section, key
from config.vocabulary import Effect


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


class PriceSection(Section):
    """`[[prices]]`: what a model costs, where it is not known or not what you pay; the first that fits counts."""

    model: str = key(
        "Model name, or its beginning with a * behind it.",
        Effect.IN_PLACE,
        default="",
        example='"gpt-4o*"',
        allowed="a model's name, or its beginning and *",
    )
    provider: str = key("Provider name; empty = any.", Effect.IN_PLACE, default="", example='"openai"')
    input: float = key("A million tokens read.", Effect.IN_PLACE, "USD", default=0.0, ge=0, example="2.5")
    cached: float | None = key(
        "A million tokens the provider had in its cache; unset = as input.",
        Effect.IN_PLACE,
        "USD",
        default=None,
        ge=0,
        example="1.25",
    )
    output: float = key("A million tokens written.", Effect.IN_PLACE, "USD", default=0.0, ge=0, example="10.0")
