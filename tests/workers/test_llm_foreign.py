"""Our clients before a double that is not ours: two APIs as somebody else read their descriptions, and how they break."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock
from llmock.testing import LLMockServer

from config.schema import LlmSection
from config.vocabulary import Role, Secret
from workers.clock import SystemClock
from workers.errors import ProviderRefused, ProviderUnavailable
from workers.http import Http
from workers.llm import Providers
from workers.llm.base import Completion, CompletionRequest, Message, Provider, ToolSpec

pytestmark = pytest.mark.anyio

PATHS = {"openai": "/v1", "anthropic": "/anthropic/v1"}
MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-5"}


@pytest.fixture(scope="module")
def server() -> Iterator[LLMockServer]:
    with LLMockServer() as running:
        yield running


@pytest.fixture
def double(server: LLMockServer) -> LLMock:
    double = LLMock(server)
    double.reset()
    return double


@pytest.fixture(params=sorted(PATHS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def provider(name: str, double: LLMock) -> AsyncIterator[Provider]:
    http = Http()
    section = LlmSection(provider=name, base_url=double.url + PATHS[name], api_key=Secret("sk-none"))
    yield Providers(http, SystemClock()).get(section)
    await http.close()


def asking(name: str, **more: Any) -> CompletionRequest:
    messages = (Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "What is the weather in Riga?"))
    return CompletionRequest(MODELS[name], messages, **more)


async def streamed(provider: Provider, request: CompletionRequest) -> Completion:
    chunks = [chunk async for chunk in provider.stream(request)]
    assert chunks[-1].completion is not None
    return chunks[-1].completion


async def test_whole_and_streamed_answers(provider: Provider, name: str) -> None:
    """Both are read, with their tokens."""
    for completion in (await provider.complete(asking(name)), await streamed(provider, asking(name))):
        assert completion.text
        assert completion.usage.input_tokens > 0
        assert completion.finish_reason == "stop"


async def test_tools(provider: Provider, name: str) -> None:
    """It calls what it was offered, and answers once it has the result."""
    tool = ToolSpec("get_weather", "Weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
    request = asking(name, tools=(tool,))
    for completion in (await provider.complete(request), await streamed(provider, request)):
        [call] = completion.tool_calls
        assert call.name == "get_weather"
        said = Message(Role.ASSISTANT, completion.text, tool_calls=completion.tool_calls)
        result = Message(Role.TOOL, "21 C", tool_call_id=call.id)
        again = CompletionRequest(request.model, (*request.messages, said, result), tools=(tool,))
        assert (await provider.complete(again)).text


async def test_refusals_and_hints(provider: Provider, name: str, double: LLMock) -> None:
    """A rate limit tells how long; a bad key is final."""
    double.rate_limit(times=1, retry_after=3)
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.complete(asking(name))
    assert caught.value.retry_after_s == 3
    double.fail(401, times=1)
    with pytest.raises(ProviderRefused):
        await provider.complete(asking(name))


@pytest.mark.parametrize("how", ["truncate", "corrupt", "disconnect"])
async def test_broken_streams_are_failures(provider: Provider, name: str, double: LLMock, how: str) -> None:
    """Cut off without a word, garbled in the middle, dropped: no half answer is ever taken for a whole one."""
    getattr(double, how)(after_chunks=1)
    with pytest.raises(ProviderUnavailable):
        await streamed(provider, asking(name))
    assert (await streamed(provider, asking(name))).text
