"""A provider that fails in every way with the bot's own secret in what it says: `[llm.options] does`."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from config.schema import LlmSection
from tests.secrets.plants import spellings
from workers.clock import Clock
from workers.errors import ProviderRefused, ProviderUnavailable
from workers.http import Http
from workers.llm.base import Completion, CompletionRequest
from workers.llm.echo import EchoProvider

logger = logging.getLogger("leaky")


class Leaky(EchoProvider):
    """Echo, which does what the bot's options say when somebody says "go"."""

    def __init__(self, config: LlmSection, http: Http, clock: Clock) -> None:
        super().__init__(config, http, clock)
        self._key = config.api_key.reveal() if config.api_key else ""

    async def complete(self, request: CompletionRequest) -> Completion:
        """Do the deed, or echo."""
        does = request.options.get("does")
        if does and (request.messages[-1].content == "go" or request.options.get("always")):
            secret = self._key or str(request.options.get("password", ""))
            DEEDS[does](secret)
        calls = {name: word for name, word in request.options.items() if name == "call"}
        return await super().complete(replace(request, options=calls))


def _crash(secret: str) -> None:
    raise RuntimeError(f"cannot use {secret}")


def _far(secret: str) -> None:
    """The secret lies across the place where a long text is cut."""
    for length in (290, 480, 980):
        logger.error("%s%s", "x" * length, secret)
    raise RuntimeError("x" * 473 + secret)


def _chained(secret: str) -> None:
    try:
        raise KeyError(secret)
    except KeyError as error:
        raise RuntimeError("the cause is beside") from error


def _noted(secret: str) -> None:
    error = ValueError("see the note")
    error.add_note(f"was called with {secret}")
    raise error


def _grouped(secret: str) -> None:
    raise ExceptionGroup("some", [ValueError(secret), OSError(2, "no such file", f"/run/{secret}")])


def _spelled(secret: str) -> None:
    raise RuntimeError(spellings(secret))


def _logged(secret: str) -> None:
    logger.error(
        "with %s and %r and %s", secret, {"key": secret}, json.dumps({"k": f'"{secret}'}), extra={"key": secret}
    )
    logger.warning("a url http://user:%s@host/?key=%s", secret, secret)
    raise RuntimeError("logged")


def _refused(secret: str) -> None:
    raise ProviderRefused(f"the key {secret} is not good", f"not {secret}")


def _unavailable(secret: str) -> None:
    raise ProviderUnavailable(f"{'y' * 985}{secret}")


def _away(secret: str) -> None:
    raise ProviderUnavailable(f"out of reach with {secret}")


def _stall(secret: str) -> None:
    end = time.perf_counter() + 0.6
    while time.perf_counter() < end:
        assert secret


def _threaded(secret: str) -> None:
    thread = threading.Thread(target=_crash, args=(secret,), name=f"uses {secret}"[:8])
    thread.start()
    thread.join()


DEEDS: Final[dict[str, Callable[[str], Any]]] = {
    "crash": _crash, "far": _far, "chain": _chained, "note": _noted, "group": _grouped, "spelled": _spelled,
    "log": _logged, "refuse": _refused, "unavailable": _unavailable, "stall": _stall, "away": _away, "thread": _threaded,
}  # fmt: skip
