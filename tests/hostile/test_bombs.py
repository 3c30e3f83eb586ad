"""Answers that are far too large, packed or not: what a process holds of them stays bounded, however often they come."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress

import anyio
import pytest
from aiohttp import web

from tests.workers.telegram_rig import canned_server

pytestmark = pytest.mark.anyio

BOUND_KIB = 48 * 1024
"""Above what it took before: an answer of 8 MiB, the pieces it came in, what is made of it."""

HEAD = b'{"ok": true, "result": "'
Answer = tuple[bytes, dict[str, str]]


def packed(megabytes: int) -> bytes:
    """Return a gzip stream of an answer with so many megabytes of blanks, each packed as the one before: soon made."""
    packer = zlib.compressobj(6, wbits=31)
    blanks = b" " * 1_000_000
    head = packer.compress(HEAD) + packer.flush(zlib.Z_FULL_FLUSH)
    one = packer.compress(blanks) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.flush()[:-8]
    check = zlib.crc32(HEAD)
    for _ in range(megabytes):
        check = zlib.crc32(blanks, check)
    length = len(HEAD) + megabytes * len(blanks)
    return head + one * megabytes + rest + check.to_bytes(4, "little") + length.to_bytes(4, "little")


ANSWERS: dict[str, Callable[[], Answer]] = {
    "a packed bomb": lambda: (packed(200), {"Content-Encoding": "gzip"}),
    "50 MB": lambda: (HEAD + b"x" * 50_000_000 + b'"}', {}),
    "just readable": lambda: (HEAD + b"x" * 8_300_000, {}),
}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("name", ANSWERS)
async def test_memory_stays_bounded(name: str) -> None:
    """Of polls, sends, whole answers and streams of a model, each asked a dozen times; half of the answers come in chunks."""
    body, headers = ANSWERS[name]()
    asked_before = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked_before
        asked_before += 1
        announced = {"Content-Length": str(len(body))} if asked_before // 2 % 2 else {}
        response = web.StreamResponse(headers={"Content-Type": "application/json", **headers, **announced})
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
