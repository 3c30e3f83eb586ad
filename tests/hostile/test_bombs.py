"""Answers that are far too large, packed or not: what a process holds of them stays bounded, however often they come."""

from __future__ import annotations

import gzip
import subprocess
import sys
from contextlib import suppress

import anyio
import pytest
from aiohttp import web

from tests.workers.telegram_rig import canned_server

pytestmark = pytest.mark.anyio

BOUND_KIB = 48 * 1024
"""Above what it took before: an answer of 8 MiB, the pieces it came in, what is made of it."""

HEAD = b'{"ok": true, "result": "'
ANSWERS: dict[str, tuple[bytes, dict[str, str]]] = {
    "a packed bomb": (gzip.compress(HEAD + b" " * 200_000_000, 6), {"Content-Encoding": "gzip"}),
    "50 MB": (HEAD + b"x" * 50_000_000 + b'"}', {}),
    "just readable": (HEAD + b"x" * 8_300_000, {}),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("name", ANSWERS)
async def test_memory_stays_bounded(name: str, announced: bool) -> None:
    """Of polls, sends, whole answers and streams of a model, each asked a dozen times."""
    body, headers = ANSWERS[name]
    length = {"Content-Length": str(len(body))} if announced else {}

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json", **headers, **length})
        await response.prepare(request)
        with suppress(OSError):  # it may have had enough
            await response.write(body)
            await response.write_eof()
        return response

    async with canned_server(answer) as url:
        command = [sys.executable, "-m", "tests.hostile.bombed", url]
        done = await anyio.run_process(command, check=True, stderr=subprocess.PIPE)
    before, polled, asked = map(int, done.stdout.split())
    assert polled - before < BOUND_KIB
    assert asked - before < BOUND_KIB
