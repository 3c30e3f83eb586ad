"""What a model's answer costs in CPU: our clients beside the official SDK and bare aiohttp, in one run.

`python -m tests.bench.bench_llm`. The server is another process; figures are CPU milliseconds of this one.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection

import aiohttp
import uvloop

from config.schema import LlmSection
from config.vocabulary import Role
from workers.clock import SystemClock
from workers.http import Http
from workers.llm import Providers
from workers.llm.asking import Asker
from workers.llm.base import CompletionRequest, Message, Provider

TOKENS = 300
ROUNDS = 5
ANSWERS = 20
TEXT = " ".join(f"word{n}" for n in range(TOKENS))


def serve(pipe: Connection) -> None:
    """Run the model double in a process of its own."""
    from console.sandbox.server import Sandbox

    async def main() -> None:
        async with Sandbox() as sandbox:
            sandbox.model.answer = lambda _call: TEXT
            pipe.send(sandbox.model_url)
            await asyncio.to_thread(pipe.recv)

    uvloop.run(main())


async def cost_ms(one: Callable[[], Awaitable[object]]) -> float:
    """Return the median CPU milliseconds of one answer over ROUNDS rounds of ANSWERS."""
    await one()
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(ANSWERS):
            await one()
        rounds.append((time.process_time() - began) / ANSWERS * 1000)
    return statistics.median(rounds)


async def measure(url: str) -> dict[str, dict[str, float]]:
    """Return client → {streamed, plain} in CPU milliseconds."""
    from openai import AsyncOpenAI

    http, clock = Http(), SystemClock()
    providers = Providers(http, clock)
    section = LlmSection(provider="openai", model="double", base_url=url)
    ours = providers.get(section)
    theirs = providers.get(section.model_copy(update={"provider": "anthropic"}))
    asker, chain = Asker(providers, clock), section.chain()
    request = CompletionRequest("double", (Message(Role.USER, "go"),))
    sdk = AsyncOpenAI(base_url=url, api_key="sk-none", max_retries=0)
    bare = aiohttp.ClientSession()
    messages = [{"role": "user", "content": "go"}]

    class Ear:
        def piece(self, text: str) -> None:
            pass

        def restart(self) -> None:
            pass

    async def streamed_by(provider: Provider) -> None:
        async for _ in provider.stream(request):
            pass

    async def sdk_streamed() -> None:
        async for _ in await sdk.chat.completions.create(model="double", messages=messages, stream=True):
            pass

    async def bare_streamed() -> None:
        body = json.dumps({"model": "double", "messages": messages, "stream": True})
        async with bare.post(f"{url}/chat/completions", data=body) as response:
            async for line in response.content:
                if line.startswith(b"data: {"):
                    json.loads(line[6:])

    async def bare_plain() -> None:
        async with bare.post(f"{url}/chat/completions", json={"model": "double", "messages": messages}) as response:
            await response.json()

    figures = {
        "openai": {
            "streamed": await cost_ms(lambda: streamed_by(ours)),
            "plain": await cost_ms(lambda: ours.complete(request)),
        },
        "anthropic": {
            "streamed": await cost_ms(lambda: streamed_by(theirs)),
            "plain": await cost_ms(lambda: theirs.complete(request)),
        },
        "asker, openai": {
            "streamed": await cost_ms(lambda: asker.ask(chain, request, Ear())),
            "plain": await cost_ms(lambda: asker.ask(chain, request)),
        },
        "openai SDK": {
            "streamed": await cost_ms(sdk_streamed),
            "plain": await cost_ms(lambda: sdk.chat.completions.create(model="double", messages=messages)),
        },
        "bare aiohttp": {"streamed": await cost_ms(bare_streamed), "plain": await cost_ms(bare_plain)},
    }
    await http.close()
    await bare.close()
    await sdk.close()
    return figures


def main() -> dict[str, dict[str, float]]:
    """Measure and print."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,))
    server.start()
    try:
        figures = uvloop.run(measure(here.recv()))
    finally:
        here.send("end")
        server.join(10)
    print(f"{'client':14}{'streamed 300 tokens':>22}{'whole answer':>15}   CPU ms, median of {ROUNDS} x {ANSWERS}")
    for client, costs in figures.items():
        print(f"{client:14}{costs['streamed']:22.2f}{costs['plain']:15.2f}")
    return figures


if __name__ == "__main__":
    main()
