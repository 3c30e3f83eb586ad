"""Programs that ask the API with keys: good, wrong, and put where they do not belong."""

from __future__ import annotations

import itertools
from typing import Final

import aiohttp

from tests.secrets.house import House

Request = tuple[str, str, dict[str, str], dict[str, str]]
BOT: Final = "model-quotes"


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _requests(key: str) -> list[Request]:
    """Return (method, path, headers, JSON) of all that may be done with a key."""
    chat, said = f"/v1/bots/{BOT}/chat", {"message": "hello"}
    return [
        ("GET", "/v1/bots", _bearer(key), {}),
        ("POST", chat, _bearer(key), said),  # the model refuses
        ("POST", chat, _bearer(key), {"message": "hello", "colour": "red"}),
        ("POST", f"/v1/bots/{BOT}/pause", _bearer(key), {}),  # events, by whom
        ("POST", f"/v1/bots/{BOT}/resume", _bearer(key), {}),
        ("GET", "/v1/bots", {"Authorization": f"Basic {key}"}, {}),
        ("GET", "/v1/bots", {"Authorization": key}, {}),
        ("GET", "/v1/bots", {"X-Api-Key": key}, {}),
        ("GET", "/v1/bots", {"Cookie": f"key={key}"}, {}),
        ("GET", f"/v1/bots?api_key={key}", {}, {}),
        ("GET", f"/v1/bots?limit={key}", _bearer(key), {}),
        ("GET", f"/v1/bots/{key}", _bearer(key), {}),
        ("POST", f"/v1/bots/{key}/stop", _bearer(key), {}),
        ("POST", "/v1/bots", _bearer(key), {"bot_id": key}),
        ("GET", f"/v1/{key}", {}, {}),
        ("GET", "/healthz", {"Host": f"{key}.example"}, {}),
        ("GET", "/healthz", {"Origin": f"http://{key}@example"}, {}),
        ("POST", "/v1/chat/completions", _bearer(key), {"model": key}),
    ]


async def asked(place: House) -> list[int]:
    """Plant keys and use them in every way; return the statuses of a good key's answers."""
    control, plants = await place.control(), place.plants
    place.key = made = (await control.key_add("program", "admin", actor="test"))["key"]
    revoked = (await control.key_add("gone", "admin", actor="test"))["key"]
    await control.key_revoke("gone", actor="test")
    for name, key in (("API key", made), ("revoked API key", revoked)):
        plants.learn(name, key.split("_", 2)[2])  # what stands before it is no secret
    wrong = "_".join((*made.split("_", 2)[:2], plants.key("wrong API key")))
    others = zip(_requests(revoked), _requests(wrong), strict=True)  # in turns: after some, no other is looked at
    async with aiohttp.ClientSession(f"http://{place.api}") as session:
        statuses = [await _ask(session, request) for request in _requests(made)]
        for request in itertools.chain.from_iterable(others):
            await _ask(session, request)
    return statuses


async def _ask(session: aiohttp.ClientSession, request: Request) -> int:
    method, path, headers, body = request
    async with session.request(method, path, headers=headers, json=body or None) as answer:
        await answer.read()
        return answer.status
