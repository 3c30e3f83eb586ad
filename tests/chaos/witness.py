"""The double, and everything it saw: what was asked of it, what it took, whether it said so."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import anyio
from aiohttp import web

from console.sandbox.answers import Refused, Reply
from console.sandbox.bots import Line, SandboxBot
from console.sandbox.faults import MODEL_KINDS, Fault, Faults
from console.sandbox.model import ModelCall
from console.sandbox.parameters import chat_of, read_params
from console.sandbox.server import Sandbox


@dataclass(slots=True, eq=False)
class SendRequest:
    """One sendMessage that arrived. taken: the person sees it; outcome: what was said to who asked.

    outcome is `open` (nothing yet), `ok`, `refused` (certainly not done) or `doubt` (no answer, or one that says nothing).
    """

    life: int
    bot: str
    chat_id: int
    text: str
    taken: bool = False
    outcome: str = "open"

    @property
    def in_doubt(self) -> bool:
        """Whether who asked cannot know what became of it."""
        return self.outcome in {"doubt", "open"}


@dataclass(slots=True)
class Asked:
    """One question that arrived at the model; number tells it from every other. call is None once an answer was made.

    struck: a fault befell it, so that who asked has no answer.
    """

    life: int
    number: int
    question: str
    call: ModelCall | None
    struck: bool = False


@dataclass(slots=True)
class Served:
    """When a life of the fleet was first heard of, in monotonic seconds. all_polling: each bot has polled."""

    spawned: float = 0.0
    first_poll: float | None = None
    first_answer: float | None = None
    all_polling: float | None = None
    polling: set[int] = field(default_factory=set)


class _ModelFaults(Faults):
    """The model's faults, telling when one befalls the question that has just arrived."""

    def __init__(self, struck: Callable[[], None]) -> None:
        super().__init__(MODEL_KINDS)
        self._struck = struck

    def take(self, method: str, chat_id: int | None = None) -> Fault | None:
        fault = super().take(method, chat_id)
        if fault is not None and fault.kind != "slow":
            self._struck()
        return fault


LATENCY_S: Final = (0.0, 0.04)
"""What a send takes to arrive, and its answer to come back: on bare loopback a kill would hardly ever meet one."""
THINKING_S: Final = 0.1


class Witness(Sandbox):
    """A double that remembers. `begin_life` is called before a process is started, with none of the last one left."""

    def __init__(self, random: Random) -> None:
        super().__init__(keep_sent=0)
        self._random = random
        self.life = 0
        self.served: dict[int, Served] = defaultdict(Served)
        self.sends: list[SendRequest] = []
        self.heard: dict[int, list[str]] = defaultdict(list)
        """chat_id → what the person in it has seen, in order."""
        self.asked: list[Asked] = []
        self.models: set[str] = set()
        """Whatever was named as the model of a call."""
        self._open: dict[tuple[str, int], SendRequest] = {}
        self.listeners.append(self._note_line)
        self.model.answer = self._think
        self.model.faults = _ModelFaults(self._note_struck)
        self.model.delay_s = THINKING_S

    def begin_life(self) -> None:
        """Count what comes from now on for the next process."""
        self._take_calls()
        self.life += 1
        self.served[self.life].spawned = time.monotonic()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        runner = self._runner
        return 0 if runner is None or runner.server is None else len(runner.server.connections)

    # --- sends and polls ---------------------------------------------------------------------------------------

    async def _api(self, request: web.BaseRequest, path: str, query: str) -> Reply | None:
        token, _, method = path[4:].partition("/")
        bot = self._by_token.get(token)
        if bot is None:
            return await super()._api(request, path, query)
        if method == "getUpdates":
            self._note_poll(bot)
        if method != "sendMessage":
            return await super()._api(request, path, query)
        seen = await self._note_send(bot, request, query)
        await anyio.sleep(self._random.uniform(*LATENCY_S))
        reply = await super()._api(request, path, query)
        await anyio.sleep(self._random.uniform(*LATENCY_S))
        seen.outcome = _outcome(reply)
        return reply

    def _note_poll(self, bot: SandboxBot) -> None:
        served, now = self.served[self.life], time.monotonic()
        served.first_poll = served.first_poll or now
        served.polling.add(bot.id)
        if len(served.polling) == len(self.bots):
            served.all_polling = served.all_polling or now

    async def _note_send(self, bot: SandboxBot, request: web.BaseRequest, query: str) -> SendRequest:
        try:
            params: dict[str, Any] = await read_params(request, query)
        except Refused:
            params = {}
        seen = SendRequest(self.life, bot.username, chat_of(params) or 0, str(params.get("text", "")))
        self.sends.append(seen)
        self._open[seen.bot, seen.chat_id] = seen
        return seen

    def _note_line(self, bot: SandboxBot, line: Line) -> None:
        if not line.by_bot:
            return
        self.heard[line.chat_id].append(line.text)
        self._open[bot.username, line.chat_id].taken = True
        served = self.served[self.life]
        served.first_answer = served.first_answer or time.monotonic()

    # --- the model ---------------------------------------------------------------------------------------------

    def _take_calls(self) -> None:
        for call in self.model.calls:
            self.asked.append(Asked(self.life, len(self.asked), call.question, call))
            self.models.add(call.model)
        self.model.calls.clear()

    def _note_struck(self) -> None:
        # The double asks for a fault in the step in which it has noted the call.
        self._take_calls()
        self.asked[-1].struck = True

    def _think(self, call: ModelCall) -> str:
        """Answer with the question and the number of the call, so that no two answers are alike."""
        self._take_calls()
        asked = next(asked for asked in reversed(self.asked) if asked.call is call)
        asked.call = None
        return f"{asked.question} #{asked.number}"


def _outcome(reply: Reply | None) -> str:
    """Say what a client may conclude from a reply, by the rules of the Bot API: 5xx and nonsense conclude nothing."""
    if reply is None or reply.status >= 500:
        return "doubt"
    if 200 <= reply.status < 300:
        return "ok" if reply.body.startswith(b'{"ok":true') and reply.body.endswith(b"}") else "doubt"
    return "refused"
