"""How long a large picture on its way to a model stops everybody else: `python -m tests.bench.bench_pictures`.

The server is another process; 10 MB a picture, ten of them one after the other, each in base64 as the APIs want it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import sys
import time
from multiprocessing.connection import Connection

import uvloop

from config.schema import LlmSection
from config.vocabulary import Role
from workers.clock import SystemClock
from workers.http import Http
from workers.llm import Providers
from workers.llm.base import CompletionRequest, Image, Message

PICTURE_BYTES = 10_000_000
PICTURES = 10
ALLOWED_MS = 5.0


def serve(pipe: Connection) -> None:
    """Run the model double in a process of its own."""
    from console.sandbox.server import Sandbox

    async def main() -> None:
        async with Sandbox() as sandbox:
            sandbox.model.answer = lambda _call: "seen"
            pipe.send(sandbox.model_url)
            await asyncio.to_thread(pipe.recv)

    uvloop.run(main())


class Blocked:
    """The longest a turn of the loop took, in milliseconds of CPU: what other programs take of a core is not ours."""

    def __init__(self) -> None:
        self.longest_ms = 0.0

    async def watch(self) -> None:
        """Look again and again until cancelled."""
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            now = time.thread_time()
            self.longest_ms = max(self.longest_ms, (now - last) * 1000)
            last = now


async def measure(url: str, provider: str) -> list[float]:
    """Return the longest block of each picture."""
    http = Http()
    client = Providers(http, SystemClock()).get(LlmSection(provider=provider, model="double", base_url=url))
    picture = Image("image/jpeg", os.urandom(PICTURE_BYTES))
    request = CompletionRequest("double", (Message(Role.USER, "what is it?", (picture,)),))
    found = []
    for _ in range(PICTURES):
        blocked = Blocked()
        watching = asyncio.create_task(blocked.watch())
        await asyncio.sleep(0)  # it watches from before the request is made
        await client.complete(request)
        watching.cancel()
        found.append(blocked.longest_ms)
    await http.close()
    return found


def main() -> int:
    """Measure both APIs; 1 = a picture stops the others for too long."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,))
    server.start()
    url, late = here.recv(), False
    for provider in ("openai", "anthropic"):
        found = uvloop.run(measure(url, provider))
        late |= statistics.median(found) > ALLOWED_MS
        print(
            f"{provider}, a picture of 10 MB: the longest turn of the loop took {statistics.median(found):.1f} ms of CPU, {max(found):.1f} at most"
        )
    here.send("end")
    server.join()
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
