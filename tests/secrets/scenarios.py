"""What befalls each bot of the fleet: one line is one bot, its secrets, and what goes wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from console.sandbox.bots import SandboxBot
from tests.secrets.leaky import DEEDS
from tests.secrets.plants import spellings

Prepare = Callable[[SandboxBot, str], Any]
"""Gets the bot at its server, and a secret of the fleet that is not the bot's token."""

MCP_SERVER: Final = Path(__file__).parents[1] / "workers" / "mcp_server.py"
WAYS: Final = ("literal", "env", "dotenv", "file", "cmd", "multiline")
"""Where a secret may come from; the bots take them in turn."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A bot. says: words of which one must show in its status, events or log, or nothing has been tried.

    In what its file says, {name} stands for a server of the house, {password} for the bot's own, and any other name for a
    secret planted there.
    """

    says: tuple[str, ...]
    prepare: Prepare | None = None
    llm: dict[str, Any] = field(default_factory=dict)
    telegram: dict[str, Any] = field(default_factory=dict)
    tools: tuple[dict[str, Any], ...] = ()
    way: str = ""
    """One of WAYS for its API key; "" = by turns."""
    hears: tuple[str, ...] = ("go", "hello")
    """What people write to it."""
    stays: str = ""
    """Words that stand in one of its conditions, with a mask behind them, for as long as anything is read."""


def _fault(method: str, kind: str, **options: Any) -> Prepare:
    return lambda bot, _other: bot.faults.fail(method, kind, times=None, **options)


def _quoting(method: str, kind: str) -> Prepare:
    def prepare(bot: SandboxBot, other: str) -> None:
        said = f"bot{bot.token}/{method} {other} {spellings(bot.token)} {spellings(other)}"
        bot.faults.fail(method, kind, times=None, description=said)

    return prepare


def cut_off(bot: SandboxBot, other: str) -> None:
    """Let no poll of a bot through, and every refusal quote a secret."""
    bot.faults.fail("getUpdates", "bad_request", times=None, description=f"gone with {other}")


def _spoiled(bot: SandboxBot, _other: str) -> None:
    for message in ("no object", {"chat": {"id": "none"}}, {"chat": {"id": 5, "type": "private"}, "date": "never"}):
        bot.push({"message": message})


def _cutting(bot: SandboxBot, _other: str) -> None:
    bot.faults.fail("sendMessage", "bad_request", times=None, description="z" * 280 + "%3A".join(bot.token.split(":")))


def _telegram() -> dict[str, Scenario]:
    kinds = ("reset", "close", "hang", "lost_reply", "flood")
    made = {f"send-{kind.replace('_', '-')}": Scenario(("",), _fault("sendMessage", kind)) for kind in kinds}
    made |= {
        f"poll-{kind}": Scenario(("",), _fault("getUpdates", kind)) for kind in ("reset", "close", "flood", "hang")
    }
    made |= {
        f"garbage-{form}": Scenario(
            ("no Bot API answer", "broke off", "closed", "lost"), _fault("getUpdates", "garbage", form=form)
        )
        for form in ("text", "truncated", "html", "empty", "cut")
    }
    return made


TELEGRAM: Final = {
    "unauthorized": Scenario(("Telegram does not know", "401"), _quoting("*", "unauthorized")),
    "not-found": Scenario(("404",), _quoting("getUpdates", "not_found")),
    "bad-request": Scenario(("400",), _quoting("sendMessage", "bad_request")),
    "forbidden": Scenario(("403",), _quoting("sendMessage", "forbidden")),
    "conflict": Scenario(
        ("409", "else", "other"), _quoting("getUpdates", "conflict"), stays="another program polls with this token: 409"
    ),
    "not-admitted": Scenario(("400",), _quoting("getMe", "bad_request"), stays="Telegram answered 400"),
    "spoiled": Scenario(("cannot be understood",), _spoiled),
    "server-error": Scenario(("50",), _fault("getUpdates", "server_error", html=True)),
    "cut-quote": Scenario(("400", "zzz"), _cutting),
    **_telegram(),
    "no-server": Scenario(("no connection",), telegram={"base_url": "http://127.0.0.1:9/bot"}),
    "no-name": Scenario(("",), telegram={"base_url": "http://nowhere.invalid/bot"}),
    "wrong-tls": Scenario(("TLS", "certificate", "no connection"), telegram={"base_url": "{tls}/bot"}),
    "credentials": Scenario(("",), telegram={"base_url": "http://user:{password}@127.0.0.1:9/bot"}),
}

CODE: Final = {
    **{f"code-{does}": Scenario(("",), llm={"options": {"does": does}}) for does in DEEDS},
    **{
        f"code-{does}-lines": Scenario(("",), llm={"options": {"does": does}}, way="multiline")
        for does in ("crash", "chain", "note", "group", "log")
    },
    "code-away": Scenario(
        ("out of reach",), llm={"options": {"does": "away", "always": True}}, stays="out of reach with"
    ),
}


def _quoted(llm: dict[str, Any]) -> Scenario:
    """A model's server that refuses, and quotes the whole request."""
    return Scenario(("answered 401",), llm=llm, stays="the model's server answered 401")


MODEL: Final = {
    "model-quotes": _quoted({"provider": "openai", "base_url": "{echoing}/v1"}),
    "model-quotes-in-headers": _quoted({"provider": "anthropic", "base_url": "{echoing}/headers"}),
    **{
        f"model-cut-{length}": _quoted({"provider": "openai", "base_url": f"{{echoing}}/after/{length}"})
        for length in (230, 250, 270)
    },
    "model-in-place": Scenario(
        ("",),
        llm={
            "provider": "openai",
            "base_url": "{echoing}/v1",
            "fallbacks": [
                {"provider": "anthropic", "model": "n", "base_url": "{echoing}/headers", "api_key": "{fallback_key}"},
                {"provider": "echo", "model": "spare"},
            ],
        },
        stays="spare answers in its place",
    ),
    "model-away": Scenario(("cannot be reached",), llm={"provider": "openai", "base_url": "http://127.0.0.1:9/v1"}),
    "model-login": Scenario(
        ("answered 401", "both", "user name", "not usable"),
        llm={"provider": "openai", "base_url": "http://user:{password}@{echoing_host}/v1", "api_key": ""},
    ),
}

_CALLS: Final = {"options": {"call": "go"}}
_MCP: Final = {
    "name": "demo",
    "kind": "mcp",
    "command": [sys.executable, str(MCP_SERVER)],
    "env": {"DEMO_SECRET": "{env_secret}"},
}

TOOL: Final = {
    "tool-quotes": Scenario(
        ("401",),
        llm=_CALLS,
        tools=(
            {
                "name": "look",
                "kind": "http",
                "url": "{echoing}/look",
                "description": "looks",
                "headers": {"X-Key": "{header_key}", "Authorization": "Bearer {bearer_key}"},
            },
        ),
        hears=("go look {}",),
    ),
    "tool-tells": Scenario(("leak",), llm=_CALLS, tools=(_MCP,), hears=("go leak {}", "go die {}")),
}

SCENARIOS: Final = TELEGRAM | CODE | MODEL | TOOL
