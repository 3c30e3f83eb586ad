"""`[llm]`, `[[llm.fallbacks]]`, `[voice]`: the models a bot asks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from config.sections.base import ADDRESS_OR_NONE, SECRET, AddressOrNone, Listed, Section, key
from config.vocabulary import PROVIDERS, Effect, Secret

NAMES = " or ".join(f'"{name}"' for name in PROVIDERS)
CHAIN = "_chain"
"""Where a section keeps the chain it once made; no value of a file."""
ModelName = Annotated[str, Field(min_length=1)]


class FallbackSection(Section):
    """`[[llm.fallbacks]]`: who is asked when the model cannot answer, in the order of the file.

    What is not set is as in `[llm]` when the provider is the same, else the provider's own; an API key is only taken
    over together with the address it belongs to.
    """

    provider: str = key(
        "Provider name; unset = that of [llm].", Effect.NEXT_TURN, default="", example='"anthropic"', allowed=NAMES
    )
    model: str = key("Model name; echo needs none.", Effect.NEXT_TURN, default="", example='"gpt-4o-mini"')
    base_url: AddressOrNone | None = key(
        "Root of the provider's API.",
        Effect.NEXT_TURN,
        default=None,
        allowed=ADDRESS_OR_NONE,
        example='"http://127.0.0.1:11434/v1"',
    )
    api_key: Secret | None = key(
        "API key, as a reference.", Effect.NEXT_TURN, default=None, example='"${BACKUP_API_KEY}"', allowed=SECRET
    )
    temperature: float | None = key("Sampling temperature.", Effect.NEXT_TURN, default=None, ge=0, le=2, example="0.3")
    max_output_tokens: int | None = key(
        "Upper limit of one answer.", Effect.NEXT_TURN, "tokens", default=None, ge=1, example="800"
    )
    timeout_s: float | None = key(
        "Limit of one whole model call; unset = that of [llm].",
        Effect.NEXT_TURN,
        "s",
        default=None,
        gt=0,
        le=3600,
        example="30.0",
    )
    images: bool | None = key(
        "Whether the model sees pictures; unset = as [llm].", Effect.NEXT_TURN, default=None, example="true"
    )
    options: dict[str, Any] | None = key(
        "Provider-specific options.", Effect.NEXT_TURN, default=None, example="{ top_p = 0.9 }", repr=False
    )


class LlmSection(Section):
    """`[llm]`: the model that answers."""

    provider: str = key(
        "Provider name: openai (any compatible server), anthropic, or echo (repeats what it is told).",
        Effect.NEXT_TURN,
        default="echo",
        example='"openai"',
        allowed=NAMES,
    )
    model: str = key(
        "Model name at the provider; echo needs none.", Effect.NEXT_TURN, default="", example='"gpt-4o-mini"'
    )
    base_url: AddressOrNone = key(
        "Root of the provider's API; empty = the provider's own.",
        Effect.NEXT_TURN,
        default="",
        allowed=ADDRESS_OR_NONE,
        example='"http://127.0.0.1:11434/v1"',
    )
    api_key: Secret | None = key(
        "API key, as a reference; a server of your own may need none.",
        Effect.NEXT_TURN,
        default=None,
        example='"${OPENAI_API_KEY}"',
        allowed=SECRET,
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
    first_token_timeout_s: float = key(
        "How long the first piece of a streamed answer may take.", Effect.NEXT_TURN, "s", default=30.0, gt=0, le=3600
    )
    on_outage: Literal["apologise", "wait"] = key(
        "While no model can be reached: apologise once per chat and hour, or let messages wait.",
        Effect.NEXT_TURN,
        default="apologise",
    )
    images: bool = key("Whether the model sees pictures.", Effect.NEXT_TURN, default=False)
    choices: Listed[ModelName] = key(
        "Models people may choose with /model; empty = /model is off.",
        Effect.NEXT_TURN,
        default=(),
        example='["gpt-4o", "gpt-4o-mini"]',
        allowed="a list of model names, none empty",
    )
    options: dict[str, Any] = key(
        "Provider-specific options; of echo: call, delay_s, fail_rate, piece_delay_s, seed.",
        Effect.NEXT_TURN,
        default_factory=dict,
        example="{ delay_s = 0.5 }",
        repr=False,
    )
    fallbacks: Listed[FallbackSection] = key(
        "Who is asked when the model cannot answer, in this order.", Effect.NEXT_TURN, default=()
    )

    def chain(self) -> tuple[LlmSection, ...]:
        """Return whom to ask, in order: this section, then each fallback made whole. The same tuple at every call."""
        if not self.fallbacks:
            return (self,)
        made: tuple[LlmSection, ...] | None = self.__dict__.get(CHAIN)
        # A copy made with other values carries the chain of the original along.
        if made is None or made[0] is not self:
            made = self.__dict__[CHAIN] = (self, *map(self._whole, self.fallbacks))
        return made

    def _whole(self, link: FallbackSection) -> LlmSection:
        """Return a fallback with what it leaves open filled in."""
        provider = link.provider or self.provider
        default = self if provider == self.provider else LlmSection(provider=provider)
        base_url = default.base_url if link.base_url is None else link.base_url
        key_of_place = default.api_key if base_url == default.base_url else None
        return LlmSection(
            provider=provider,
            model=link.model,
            base_url=base_url,
            api_key=key_of_place if link.api_key is None else link.api_key,
            temperature=default.temperature if link.temperature is None else link.temperature,
            max_output_tokens=default.max_output_tokens if link.max_output_tokens is None else link.max_output_tokens,
            timeout_s=self.timeout_s if link.timeout_s is None else link.timeout_s,
            first_token_timeout_s=self.first_token_timeout_s,
            on_outage=self.on_outage,
            images=self.images if link.images is None else link.images,
            options=default.options if link.options is None else link.options,
        )


class VoiceSection(Section):
    """`[voice]`: who writes down voice messages; any server that speaks OpenAI's audio transcriptions."""

    model: str = key(
        "Model that transcribes; empty = voice is not understood.", Effect.NEXT_TURN, default="", example='"whisper-1"'
    )
    base_url: AddressOrNone = key(
        "Root of its API; empty = OpenAI's own.",
        Effect.NEXT_TURN,
        default="",
        allowed=ADDRESS_OR_NONE,
        example='"http://127.0.0.1:8000/v1"',
    )
    api_key: Secret | None = key(
        "API key, as a reference.", Effect.NEXT_TURN, default=None, example='"${OPENAI_API_KEY}"', allowed=SECRET
    )
    language: str = key(
        "Language spoken, two letters; empty = the model finds out.", Effect.NEXT_TURN, default="", example='"en"'
    )
    timeout_s: float = key("Limit of one transcription.", Effect.NEXT_TURN, "s", default=60.0, gt=0, le=3600)
    max_s: int = key("Longest voice message that is listened to.", Effect.NEXT_TURN, "s", default=300, ge=1, le=7200)
