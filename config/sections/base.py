"""What every table is made of: keys declared once, with type, unit, default, help and reload effect."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict

from config.vocabulary import Effect

T = TypeVar("T")

Listed = Annotated[tuple[T, ...], Strict(False)]
"""A list of TOML: kept as a tuple, its items as strict as everything else."""


def key(
    help_text: str,
    effect: Effect,
    unit: str = "",
    *,
    example: str = "",
    allowed: str = "",
    each: str = "",
    **more: Any,
) -> Any:
    """Declare one key.

    example is TOML for its value; allowed says in words what it takes, where the type and limits do not, each what any
    value of a list takes. Other keyword arguments go to pydantic's Field (default, ge, le, …).
    """
    extra = {"effect": effect.value, "unit": unit, "example": example, "allowed": allowed, "each": each}
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


def web_address_or_none(text: str) -> str:
    """Return text when it is empty or as `web_address` wants it. Raises ValueError otherwise."""
    return web_address(text) if text else text


def file_name(text: str) -> str:
    """Return text when it may name a file. Raises ValueError (never quoting it) otherwise."""
    if not text.isprintable():
        raise ValueError("a file's name holds no control characters")
    return text


FileName = Annotated[str, AfterValidator(file_name)]
Address = Annotated[str, AfterValidator(web_address)]
AddressOrNone = Annotated[str, AfterValidator(web_address_or_none)]
ADDRESS = "an http:// or https:// address without ? and #"
ADDRESS_OR_NONE = f'{ADDRESS}, or ""'
SECRET = "a text, best as ${NAME}, file: or cmd:"
