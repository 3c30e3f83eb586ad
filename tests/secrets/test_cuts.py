"""A text is cleaned before it is cut: half a secret is a secret too."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.secrets.plants import Plants
from workers.channels.faults import scrub
from workers.failure import text_of
from workers.llm.refusals import Refusals
from workers.redaction import Redactor


@pytest.mark.parametrize("length", range(0, 520, 13))
def test_no_cut_leaves_half_a_secret(length: int) -> None:
    """Wherever a secret lies in what a server or an exception says, as it is or percent-encoded."""
    plants = Plants()
    token, key = plants.token("token", 7_000_001), plants.key("key", '{}"/')
    for secret in (token, quote(token, safe=""), key, quote(key, safe="")):
        said = "x" * length + " " + secret + "y" * 600
        shown = [
            text_of(RuntimeError(said), Redactor((token, key)).clean),
            Refusals(key, token).of_status(401, {}, said.encode(), 0.0).message,
            Refusals(clean=Redactor((token, key)).clean).of_status(401, {}, said.encode(), 0.0).message,
            scrub(said, "1:own", Redactor((token, key)).clean),
        ]
        if token in {secret, secret.replace("%3A", ":")}:
            shown.append(scrub(said, token))
        assert not plants.found("\n".join(shown).encode())


def test_each_line_of_a_secret_is_one() -> None:
    """A trace puts a margin before every line of what it quotes."""
    plants = Plants()
    key = "the first line\n" + plants.key("key")
    assert not plants.found(
        Redactor((key,)).clean("  | ValueError: the first line\n  | " + key.split("\n")[1]).encode()
    )
