"""All that the API answers a good key: what it shows, what it streams, and its errors."""

from __future__ import annotations

from typing import Any, Final

import aiohttp
import anyio

from tests.secrets.house import House

FLEET: Final = (
    "/healthz", "/readyz", "/metrics", "/v1/info", "/v1/check", "/v1/bots", "/v1/models", "/v1/keys", "/v1/usage",
    "/v1/logs?tail=100000", "/v1/events?tail=100000", "/v1/openapi.json",
)  # fmt: skip
BOT: Final = (
    "", "/config", "/registrations", "/logs?tail=10000", "/events?tail=10000", "/conversations", "/messages",
    "/conversations/5/messages", "/conversations/5", "/usage", "/access", "/answering", "/profile?user_id=5",
    "/series?since=0&until=60&step_s=60",
)  # fmt: skip
STREAMS: Final = {"feed": "/v1/feed", "logs": "/logs?follow=true", "events": "/events?follow=true"}

_SAID: Final = {"message": "hello"}
_MESSAGES: Final = [{"role": "user", "content": "hello"}]


def _errors(name: str) -> list[tuple[str, dict[str, Any]]]:
    """Return what makes a bot's model, tool or file speak."""
    chat, completions = f"/v1/bots/{name}/chat", "/v1/chat/completions"
    spoken = {"text": "hello", "session": "api"}
    return [
        (chat, _SAID),
        (chat, _SAID | {"stream": True}),
        (chat, {"message": "go look {}"}),
        (chat, {"message": "go"}),
        (completions, {"model": name, "messages": _MESSAGES}),
        (completions, {"model": name, "messages": _MESSAGES, "stream": True}),
        (f"/v1/bots/{name}/say", spoken),
        (f"/v1/bots/{name}/saying", spoken),
        (f"/v1/bots/{name}/export", {"target": "/nowhere/x"}),
        ("/v1/reload", {}),
        ("/v1/actions/reset", {"bots": [name]}),
    ]


async def shown(house: House, names: tuple[str, ...]) -> bytes:
    """Return every answer, those about bots for the bots named."""
    paths = [*FLEET, *(f"/v1/bots/{name}{path}" for name in names for path in BOT)]
    posts = [order for name in names for order in _errors(name)]
    answers: dict[int, bytes] = {}
    async with _session(house) as session, anyio.create_task_group() as group:

        async def ask(number: int, method: str, path: str, body: dict[str, Any] | None) -> None:
            async with session.request(method, path, json=body) as answer:
                text = await answer.read()
                answers[number] = f"{method} {path} {answer.status} {dict(answer.headers)} ".encode() + text

        for number, path in enumerate(paths):
            group.start_soon(ask, number, "GET", path, None)
        for number, (path, body) in enumerate(posts, len(paths)):
            group.start_soon(ask, number, "POST", path, body)
    assert b" 200 " in answers[0], answers[0]
    return b"\n".join(answers.values())


async def follow(house: House, path: str, heard: list[bytes]) -> None:
    """Take in what a stream tells, until cancelled or it ends."""
    async with _session(house) as session, session.get(path) as answer:
        assert answer.status == 200, (path, await answer.text())
        async for piece in answer.content.iter_any():
            heard.append(piece)


def _session(house: House) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=60)
    headers = {"Authorization": f"Bearer {house.key}"}
    return aiohttp.ClientSession(f"http://{house.api}", headers=headers, timeout=timeout)
