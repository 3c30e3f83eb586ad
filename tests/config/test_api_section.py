"""[api] of fleet.toml: addresses, names and origins, each refused with a sentence where it is none."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from config.schema import FleetConfig
from config.sections.api import ApiSection, Listening, listening
from config.vocabulary import Effect


@pytest.mark.parametrize(
    ("text", "found", "loopback"),
    [
        ("127.0.0.1:8765", Listening("127.0.0.1", 8765), True),
        ("127.1.2.3:1", Listening("127.1.2.3", 1), True),
        ("[::1]:80", Listening("::1", 80), True),
        ("LocalHost:80", Listening("localhost", 80), True),
        ("0.0.0.0:65535", Listening("0.0.0.0", 65535), False),
        ("[::]:9", Listening("::", 9), False),
        ("bots.example.com:443", Listening("bots.example.com", 443), False),
    ],
)
def test_an_address_is_read(text: str, found: Listening, loopback: bool) -> None:
    """Host and port, and whether it stays on this machine."""
    where = listening(text)
    assert where == found
    assert where is not None
    assert where.loopback is loopback
    assert listening(str(where)) == where


@pytest.mark.parametrize(
    "text",
    [
        "8765",
        ":8765",
        "a:",
        "a:0",
        "a:65536",
        "a:-1",
        "a:1e3",
        "a:１",
        "::1:80",
        "[::1:80",
        "a b:1",
        "http://a:1",
        "a/b:1",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    """Never quoted back as if it were one."""
    with pytest.raises(ValidationError):
        ApiSection(listen=text)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("allowed_hosts", ("a:80",)),
        ("allowed_hosts", ("*.example.com",)),
        ("allowed_hosts", ("",)),
        ("allowed_origins", ("example.com",)),
        ("allowed_origins", ("https://a.example/",)),
        ("allowed_origins", ("null",)),
        ("allowed_origins", ("*",)),
        ("anonymous", "yes"),
        ("max_body_kb", 0),
        ("max_streams", 0),
    ],
)
def test_names_origins_and_limits_are_checked(name: str, value: object) -> None:
    """A wildcard is none of them."""
    with pytest.raises(ValidationError):
        ApiSection(**{name: value})  # type: ignore[arg-type]


def test_what_the_manual_shows_is_taken() -> None:
    """Each [api] of docs/api.md."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(\[api\]\n.*?)```", page, re.DOTALL)
    assert len(shown) == 2
    for text in shown:
        assert FleetConfig.model_validate(tomllib.loads(text)).api.listen


def test_it_is_off_and_careful_by_default() -> None:
    """Nothing is served, nobody comes in without a key, and every key counts without a restart."""
    section = ApiSection()
    assert (section.listen, section.anonymous, section.allowed_hosts, section.allowed_origins) == ("", "", (), ())
    for field in ApiSection.model_fields.values():
        assert isinstance(field.json_schema_extra, dict)
        assert field.json_schema_extra["effect"] == Effect.IN_PLACE.value
