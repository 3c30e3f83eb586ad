"""How a bot answers, as its overview tells it: inside the fleet's process and over its socket."""

from __future__ import annotations

import pytest

from console.control import Control
from console.runtime import Fleet

pytestmark = pytest.mark.anyio


async def test_a_bot_tells_how_it_answers(control: Control, fleet: Fleet) -> None:
    """Model and fallbacks, memory, tools, streaming, access: as they run, without a secret; nothing without a good file."""
    path = fleet.place.root / "bots" / "alpha.toml"
    path.write_text(
        path.read_text()
        + '\n[[llm.fallbacks]]\nprovider = "openai"\nmodel = "m-2"\napi_key = "sk-very-secret"\n'
        + '[memory]\ntype = "summary"\nprofile = true\n[[tools]]\nname = "time"\nkind = "builtin"\n'
        + '[reply]\nstream = "auto"\n[access]\nmode = "pairing"\n'
    )
    await control.reload(actor="test")
    answer = await control.bot("alpha")
    assert answer["setup"] == {
        "model": "echo", "fallbacks": ["openai m-2"], "memory": "summary", "profile": True, "tools": ["time"],
        "stream": "auto", "access": "pairing",
    }  # fmt: skip
    assert "very-secret" not in str(answer["setup"])
    assert (await control.bot("gamma"))["setup"] is None
