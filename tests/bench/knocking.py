"""A crowd of HTTP clients in a process of its own: `python -m tests.bench.knocking URL …` asks, and prints what it got.

As fast as it is answered (`--rate 0`) or at a steady rate; a share of the requests may be bad, each in one of the ways of
`WRONG`. The last line is JSON: answers by status, times in milliseconds, what was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import uvloop
from yarl import URL

from tests.bench.stage import percentile

PATIENCE_S: Final = 30.0
BETWEEN_S: Final = 0.001
"""How exactly a steady rate is kept."""
LARGE_BYTES: Final = 9 * 1024 * 1024


@dataclass(slots=True)
class Crowd:
    """What is asked, and what came of it. took_s are of good requests only."""

    session: aiohttp.ClientSession
    url: str
    bot: str
    conversations: int
    bad: float
    answers: Counter[str] = field(default_factory=Counter)
    took_s: list[float] = field(default_factory=list)
    asked: int = 0
    refused: int = 0

    async def one(self) -> None:
        """Ask once, well or badly."""
        self.asked += 1
        number = self.asked
        if self.bad and number % round(1 / self.bad) == 0:
            self.refused += 1
            names = list(WRONG)
            name = names[self.refused % len(names)]
            try:
                self.answers[f"bad {await WRONG[name](self)}"] += 1
            except (aiohttp.ClientError, ConnectionError) as error:
                # A server may hang up on who sends nonsense; what it must not do is fail.
                self.answers[f"bad {type(error).__name__}"] += 1
            return
        began = time.perf_counter()
        body = {
            "message": f"message {number}",
            "conversation_id": f"c{number % self.conversations}",
            "client_id": "load",
        }
        async with self.session.post(f"{self.url}/v1/bots/{self.bot}/chat", json=body) as response:
            answer = await response.json()
            right = response.status != 200 or answer["response"] == body["message"]
            self.answers[str(response.status) if right else "wrong"] += 1
        self.took_s.append(time.perf_counter() - began)

    async def post(self, path: str, **more: Any) -> int:
        """Ask for something; return the status."""
        async with self.session.post(self.url + path, **more) as response:
            await response.read()
            return response.status

    async def ask(self, method: str, path: str, **more: Any) -> int:
        """Ask by any method; the path is taken as it is."""
        async with self.session.request(method, URL(self.url + path, encoded=True), **more) as response:
            await response.read()
            return response.status


async def _leaves_early(crowd: Crowd) -> int:
    """Begin to read a streamed answer and go."""
    body = {"message": "word " * 2000, "conversation_id": "left", "client_id": "load", "stream": True}
    async with crowd.session.post(f"{crowd.url}/v1/bots/{crowd.bot}/chat", json=body) as response:
        await response.content.read(10)
        response.close()
        return response.status


async def _raw(crowd: Crowd, sent: bytes) -> int:
    """Send bytes that are no request; return the status, 0 when the server hung up."""
    url = URL(crowd.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        writer.write(sent)
        writer.write_eof()
        first = await asyncio.wait_for(reader.readline(), PATIENCE_S)
        return int(first.split()[1]) if first else 0
    finally:
        writer.close()


def _chat(crowd: Crowd, body: Any) -> Awaitable[int]:
    return crowd.post(f"/v1/bots/{crowd.bot}/chat", **({"data": body} if isinstance(body, bytes) else {"json": body}))


WRONG: Final[dict[str, Callable[[Crowd], Awaitable[int]]]] = {
    "no JSON": lambda c: _chat(c, b'{"message": '),
    "no UTF-8": lambda c: _chat(c, b'{"message": "\xff"}'),
    "half a character": lambda c: _chat(c, b'{"message": "\\ud800", "conversation_id": "half", "client_id": "load"}'),
    "a list": lambda c: _chat(c, [1, 2, 3]),
    "no message": lambda c: _chat(c, {"conversation_id": "c"}),
    "wrong types": lambda c: _chat(c, {"message": 5, "conversation_id": [], "client_id": {}}),
    "unknown key": lambda c: _chat(c, {"message": "x", "conversation_id": "c", "colour": "red"}),
    "control characters": lambda c: _chat(c, {"message": "x", "conversation_id": "a\u0000b"}),
    "a long id": lambda c: _chat(c, {"message": "x", "conversation_id": "c" * 10_000}),
    "deep": lambda c: _chat(c, b'{"message": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "a large number": lambda c: _chat(c, b'{"message": "x", "session_metadata": {"n": ' + b"9" * 10_000 + b"}}"),
    "too much": lambda c: _chat(c, b'{"message": "' + b"x" * LARGE_BYTES + b'"}'),
    "no such bot": lambda c: c.post("/v1/bots/nobody/chat", json={"message": "x"}),
    "no bot's name": lambda c: c.ask("POST", "/v1/bots/%2e%2e%2f%00/chat", json={"message": "x"}),
    "no such path": lambda c: c.ask("GET", "/v1/%ff%fe/../x"),
    "no such method": lambda c: c.ask("BREW", f"/v1/bots/{c.bot}/chat"),
    "a bad cursor": lambda c: c.ask("GET", f"/v1/bots/{c.bot}/conversations?cursor=%F0%9F%A6%8Axx"),
    "a bad number": lambda c: c.ask("GET", f"/v1/bots/{c.bot}/usage?days=99999999999999999999"),
    "a foreign origin": lambda c: c.ask("POST", f"/v1/bots/{c.bot}/chat", headers={"origin": "http://evil.example"}, json={}),
    "a foreign host": lambda c: c.ask("GET", "/v1/bots", headers={"host": "evil.example"}),
    "a bad key": lambda c: c.ask("GET", "/v1/bots", headers={"authorization": "Bearer \u00e9\u00e9"}),
    "OpenAI, no model": lambda c: c.post("/v1/chat/completions", json={"messages": []}),
    "OpenAI, odd parts": lambda c: c.post(
        "/v1/chat/completions", json={"model": c.bot, "messages": [{"role": "user", "content": [{"type": "soup"}]}]}
    ),
    "noise": lambda c: _raw(c, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200 + b"\r\n\r\n"),
    "half a request": lambda c: _raw(c, b"POST /v1/bots/x/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\n{"),
    "leaves early": _leaves_early,
}  # fmt: skip
"""Ways to ask badly, by name."""


async def _at_once(crowd: Crowd, clients: int, ends: float) -> None:
    async def client() -> None:
        while time.perf_counter() < ends:
            await crowd.one()

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())


async def _steadily(crowd: Crowd, rate: float, ends: float) -> None:
    began = time.perf_counter()
    begun = 0
    async with asyncio.TaskGroup() as group:
        while (now := time.perf_counter()) < ends:
            while begun < (now - began) * rate:
                begun += 1
                group.create_task(crowd.one())
            await asyncio.sleep(BETWEEN_S)


async def knock(options: argparse.Namespace) -> dict[str, Any]:
    """Ask for so long; return what came of it."""
    connector = aiohttp.TCPConnector(limit=0)
    headers = {"authorization": f"Bearer {options.key}"} if options.key else {}
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    async with aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout) as session:
        crowd = Crowd(session, options.url.rstrip("/"), options.bot, options.conversations, options.bad)
        began = time.perf_counter()
        ends = began + options.seconds
        if options.rate:
            await _steadily(crowd, options.rate, ends)
        else:
            await _at_once(crowd, options.clients, ends)
        took_s = time.perf_counter() - began
    settled = crowd.took_s[len(crowd.took_s) // 10 :] or [0.0]
    return {
        "answers": dict(sorted(crowd.answers.items())),
        "asked": crowd.asked,
        "took_s": round(took_s, 3),
        "per_s": round(len(crowd.took_s) / took_s, 1),
        "p50_ms": round(percentile(settled, 0.5) * 1000, 2),
        "p99_ms": round(percentile(settled, 0.99) * 1000, 2),
        "max_ms": round(max(settled) * 1000, 2),
    }


def main() -> None:
    """Ask, and print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.knocking")
    parser.add_argument("url")
    parser.add_argument("--bot", default="echo")
    parser.add_argument("--key", default="")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second; 0 = as fast as they are answered")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--bad", type=float, default=0.0, help="share of bad requests, 0 to 1")
    print(json.dumps(uvloop.run(knock(parser.parse_args()))), flush=True)


if __name__ == "__main__":
    main()
