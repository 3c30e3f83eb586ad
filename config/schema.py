"""Every key of fleet.toml and bots/*.toml, put together from the tables in `config/sections`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from config.sections.access import AccessSection, LimitsSection, MediaSection
from config.sections.api import ApiSection
from config.sections.base import Listed, Section, key
from config.sections.fleet import FleetSection, LogSection, PriceSection, RetentionSection, StartSection, StoreSection
from config.sections.llm import FallbackSection, LlmSection, VoiceSection
from config.sections.talk import CommandSection, GroupsSection, MemorySection, PromptsSection, ReplySection
from config.sections.telegram import TelegramSection
from config.sections.tools import ToolSection
from config.sections.zones import zone_name
from config.vocabulary import Effect

__all__ = [
    "AccessSection",
    "ApiSection",
    "BotConfig",
    "CommandSection",
    "FallbackSection",
    "FleetConfig",
    "FleetSection",
    "GroupsSection",
    "LimitsSection",
    "LlmSection",
    "LogSection",
    "MediaSection",
    "MemorySection",
    "PriceSection",
    "PromptsSection",
    "ReplySection",
    "RetentionSection",
    "Section",
    "StartSection",
    "StoreSection",
    "TelegramSection",
    "ToolSection",
    "VoiceSection",
]


class BotConfig(Section):
    """One bot file, `bots/<bot_id>.toml`, with every layer below it merged in."""

    name: str = key("Name shown to the operator; empty = bot_id.", Effect.IN_PLACE, default="")
    enabled: bool = key("Whether the bot is to run.", Effect.RESTART, default=True)
    channel: Literal["telegram", "none"] = key("Where messages come from.", Effect.RESTART, default="telegram")
    client_id: str = key("Tenant when the channel gives none.", Effect.NEXT_TURN, default="")
    time_zone: Annotated[str, AfterValidator(zone_name)] = key(
        "Time zone of dates the model is told; empty = UTC.",
        Effect.NEXT_TURN,
        default="",
        example='"Europe/Berlin"',
        allowed='a name of the time zone database, such as "Europe/Berlin"',
    )
    telegram: TelegramSection = TelegramSection()
    llm: LlmSection = LlmSection()
    prompts: PromptsSection = PromptsSection()
    memory: MemorySection = MemorySection()
    reply: ReplySection = ReplySection()
    tools: Listed[ToolSection] = key("What the model may call.", Effect.NEXT_TURN, default=())
    limits: LimitsSection = LimitsSection()
    media: MediaSection = MediaSection()
    voice: VoiceSection = VoiceSection()
    commands: Listed[CommandSection] = key("Commands of the bot's own.", Effect.NEXT_TURN, default=())
    groups: GroupsSection = GroupsSection()
    access: AccessSection = AccessSection()
    texts: dict[str, dict[str, str]] = key(
        "Built-in texts replaced, a table for each language: [texts.en], [texts.ru].",
        Effect.NEXT_TURN,
        default_factory=dict,
        example='{ en = { start = "Hello! Ask me about your order." } }',
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
    api: ApiSection = ApiSection()
    prices: Listed[PriceSection] = key("What models cost; the first that fits counts.", Effect.IN_PLACE, default=())
