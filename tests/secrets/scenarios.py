"""What befalls each bot of the fleet: one line is one bot, its secrets, and what goes wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from console.sandbox.bots import SandboxBot
from console.sandbox.model import Model
from tests.secrets.leaky import DEEDS
from tests.secrets.plants import spellings

Prepare = Callable[[SandboxBot, Model], Any]
WAYS: Final = ("literal", "env", "dotenv", "file", "cmd", "multiline")
"""Where a secret may come from; the bots take them in turn."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A bot. says: words of which one must show in its status, events or log, or nothing has been tried."""

    says: tuple[str, ...]
    prepare: Prepare | None = None
    llm: dict[str, Any] = field(default_factory=dict)
    telegram: dict[str, Any] = field(default_factory=dict)
    way: str = ""
    """One of WAYS for its API key; "" = by turns."""


def _fault(method: str, kind: str, **options: Any) -> Prepare:
    return lambda bot, _model: bot.faults.fail(method, kind, times=None, **options)


def _quoting(method: str, kind: str) -> Prepare:
    def prepare(bot: SandboxBot, _model: Model) -> None:
        said = f"bot{bot.token}/{method} {spellings(bot.token)}"
        bot.faults.fail(method, kind, times=None, description=said)

    return prepare


def _cutting(bot: SandboxBot, _model: Model) -> None:
    bot.faults.fail("sendMessage", "bad_request", times=None, description="z" * 280 + "%3A".join(bot.token.split(":")))


def _telegram() -> dict[str, Scenario]:
    kinds = ("reset", "close", "hang", "lost_reply", "flood")
    made = {f"send-{kind.replace('_', '-')}": Scenario(("",), _fault("sendMessage", kind)) for kind in kinds}
    made |= {f"poll-{kind}": Scenario(("",), _fault("getUpdates", kind)) for kind in ("reset", "close", "flood")}
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
    "conflict": Scenario(("409", "else", "other"), _quoting("getUpdates", "conflict")),
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
}

MODEL: Final = {
    "model-quotes": Scenario(("answered 401",), llm={"provider": "openai", "base_url": "{echoing}/v1"}),
    "model-away": Scenario(("cannot be reached",), llm={"provider": "openai", "base_url": "http://127.0.0.1:9/v1"}),
    "model-login": Scenario(
        ("answered 401", "both", "user name", "not usable"),
        llm={"provider": "openai", "base_url": "http://user:{password}@{echoing_host}/v1", "api_key": ""},
    ),
}

SCENARIOS: Final = TELEGRAM | CODE | MODEL
