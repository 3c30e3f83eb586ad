"""`botdeck serve`: the console in a browser, on loopback, for whoever has the token and nobody else."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.operated import World, begin, finish, read_until

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    made.add_bot("alpha")
    yield made
    made.end()


@pytest.fixture
def served(world: World) -> Iterator[tuple[subprocess.Popen[str], str]]:
    world.start()
    process = begin(
        "serve",
        "-C",
        str(world.root),
        "--readonly",
        XDG_RUNTIME_DIR=str(world.runtime),
        XDG_STATE_HOME=str(world.runtime),
    )
    line = read_until(process, "the console of")[-1]
    found = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", line)
    assert found, line
    yield process, found[0]
    if process.poll() is None:
        process.kill()
        process.communicate()


async def test_without_the_token_nothing_is_shown(served: tuple[subprocess.Popen[str], str]) -> None:
    """No page, no socket, no file: 403; a right token under a foreign name or from a foreign page likewise."""
    _, address = served
    base = address.partition("?")[0]
    token = address.partition("=")[2]
    async with aiohttp.ClientSession() as session:
        for path, headers in (
            ("", {}), ("ws", {}), ("static/js/textual.js", {}), ("download/x", {}), ("?token=wrong", {}),
            (f"?token={token}", {"Host": "evil.example"}), (f"?token={token}", {"Origin": "http://evil.example"}),
        ):  # fmt: skip
            async with session.get(base + path, headers=headers, allow_redirects=False) as answer:
                assert answer.status == 403, path
                assert token not in await answer.text()


async def test_with_the_token_a_console_is_attached(world: World, served: tuple[subprocess.Popen[str], str]) -> None:
    """The address works once, then a cookie; a tab is an attached console that shows the bot; closing it stops nothing."""
    process, address = served
    base = address.partition("?")[0]
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(address) as page:
            assert page.status == 200
            assert str(page.url) == base
            assert "default-src 'self'" in page.headers["Content-Security-Policy"]
            assert "token" not in (await page.text()).lower()
        async with session.ws_connect(f"{base}ws?width=100&height=30", origin=base.rstrip("/")) as socket:
            seen = b""
            while b"alpha" not in seen:
                message = await socket.receive(timeout=30)
                seen += message.data if message.type is aiohttp.WSMsgType.BINARY else b""
    assert world.ask("alpha", "still there?") == "still there?"
    code, output = finish(process, signal.SIGINT)
    assert code == 0
    assert urlsplit(address).query not in output


def test_a_fleet_that_does_not_run_cannot_be_served(world: World) -> None:
    """One sentence, exit 4."""
    done = world.cli("serve")
    assert done.returncode == 4
    assert "botdeck run" in done.stderr
