"""A question asked in rounds: ask, call what the model asks for, ask again, until it answers.

A turn that is interrupted here leaves nothing behind: it is asked anew, and its tools may then run a second time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import anyio

from config.vocabulary import Role
from workers.llm.base import Completion, CompletionRequest, Message, Usage
from workers.tools.calling import Outcome

if TYPE_CHECKING:
    from config.schema import LimitsSection, LlmSection
    from workers.llm.asking import Asked, Asker, Listener
    from workers.llm.base import ToolCall
    from workers.tools.base import ToolContext
    from workers.tools.toolbox import Toolbox

logger = logging.getLogger(__name__)

SUGGEST: Final = "suggest"
"""The tool that only offers what to say next: a model that has answered beside calling it is not asked again."""

CALLS: Final = 32
"""Calls of one round that are made; a model that asks for more is told so."""

_TOO_MANY: Final = Outcome(f"Error: only {CALLS} tools may be called at once", "too many")


@dataclass(frozen=True, slots=True)
class Conversed:
    """A whole answer. completion is the last one, its usage that of all rounds together, as is usage.

    provider, link and why are those of the last ask; rounds counts how often tools were called; suggestions are what may
    be said next.
    """

    completion: Completion
    usage: Usage
    provider: str
    suggestions: tuple[str, ...] = ()
    rounds: int = 0
    link: int = 0
    why: str = ""


async def converse(
    asker: Asker,
    chain: Sequence[LlmSection],
    request: CompletionRequest,
    toolbox: Toolbox,
    context: ToolContext,
    limits: LimitsSection,
    listener: Listener | None = None,
) -> Conversed:
    """Return the model's answer to request, after as many rounds of tools as it wants and limits allow.

    The last ask, should it come to that, offers no tools. listener hears the text of each ask; before the next one it is
    told to begin anew. Raises ProviderError when an ask fails; what tools did until then is done. Cancelling is safe.
    """
    specs = await toolbox.specs()
    if not specs:
        asked = await asker.ask(chain, request, listener)
        return _conversed(asked, asked.completion.usage, context, 0)
    turn = _Turn(toolbox, context, limits)
    request = replace(request, tools=specs)
    usage = Usage()
    rounds = 0
    while True:
        offered = request if rounds < limits.tool_rounds else replace(request, tools=())
        asked = await asker.ask(chain, offered, listener)
        completion = asked.completion
        usage = _sum(usage, completion.usage)
        if not completion.tool_calls or rounds >= limits.tool_rounds:
            return _conversed(asked, usage, context, rounds)
        rounds += 1
        results = await turn.call_all(completion.tool_calls)
        if _is_answer(completion):
            return _conversed(asked, usage, context, rounds)
        request = replace(request, messages=(*request.messages, _said(asked), *results))
        if listener is not None and completion.text:
            listener.restart()


class _Turn:
    """The calls of one turn: some at a time, and each that went well only once."""

    def __init__(self, toolbox: Toolbox, context: ToolContext, limits: LimitsSection) -> None:
        self._toolbox = toolbox
        self._context = context
        self._places = anyio.Semaphore(limits.tools_at_once)
        self._known: dict[tuple[str, str], Outcome] = {}

    async def call_all(self, calls: Sequence[ToolCall]) -> list[Message]:
        """Make the calls of one round side by side; return their results in the calls' order."""
        wanted = {_key(call): call for call in calls[:CALLS] if _key(call) not in self._known}
        if len(wanted) == 1:
            await self._call(next(iter(wanted.values())))
        elif wanted:
            async with anyio.create_task_group() as group:
                for call in wanted.values():
                    group.start_soon(self._call, call, name=f"{self._context.spec.bot_id}/tool {call.name[:64]}")
        results = [self._result(call, number) for number, call in enumerate(calls)]
        self._known = {key: outcome for key, outcome in self._known.items() if not outcome.error}
        return results

    async def _call(self, call: ToolCall) -> None:
        async with self._places:
            self._known[_key(call)] = await self._toolbox.run(call, self._context)

    def _result(self, call: ToolCall, number: int) -> Message:
        outcome = self._known[_key(call)] if number < CALLS else _TOO_MANY
        return Message(Role.TOOL, outcome.text, tool_call_id=call.id)


def _key(call: ToolCall) -> tuple[str, str]:
    """Return what is equal for calls that ask for the same."""
    try:
        return call.name, json.dumps(json.loads(call.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return call.name, call.arguments


def _said(asked: Asked) -> Message:
    said = asked.completion
    return Message(Role.ASSISTANT, said.text, tool_calls=said.tool_calls, verbatim=said.verbatim, link=asked.link)


def _is_answer(completion: Completion) -> bool:
    """Tell whether a completion with calls is the answer all the same."""
    return bool(completion.text.strip()) and all(call.name == SUGGEST for call in completion.tool_calls)


def _conversed(asked: Asked, usage: Usage, context: ToolContext, rounds: int) -> Conversed:
    completion = replace(asked.completion, usage=usage) if rounds else asked.completion
    suggestions = tuple(context.suggestions)
    return Conversed(completion, usage, asked.provider, suggestions, rounds, asked.link, asked.why)


def _sum(one: Usage, other: Usage) -> Usage:
    return Usage(
        one.input_tokens + other.input_tokens,
        one.output_tokens + other.output_tokens,
        one.cached_tokens + other.cached_tokens,
    )
