"""Many clients at once, a good part of them asking nonsense: none is failed, nothing is left over."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.bench.knocking import WRONG
from tests.console.api_rig import Api, serving
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
SHARE = 0.5


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f", anonymous="operate", requests_per_min=0) as running:
        yield running


async def test_bad_requests_among_good_ones(api: Api) -> None:
    """Every good request is answered rightly, every bad one refused; tasks, connections and listeners are as before."""
    before = len(asyncio.all_tasks())
    command = [
        sys.executable,
        "-m",
        "tests.bench.knocking",
        api.url,
        "--seconds",
        "1.5",
        "--clients",
        "8",
        "--bad",
        str(SHARE),
    ]
    done = await anyio.run_process(command, cwd=ROOT, stderr=None)
    seen = json.loads(done.stdout.splitlines()[-1])
    answers = seen["answers"]
    assert answers.pop("200") > 10
    assert all(name.startswith("bad ") for name in answers), answers
    assert not [name for name in answers if name.split()[-1].startswith("5") or "Error" in name], answers
    assert sum(answers.values()) >= len(WRONG)
    await eventually(lambda: len(asyncio.all_tasks()) <= before)
    bot = await api.fleet.tenants.bot("echo")
    assert bot.in_use == 0
    rows = await api.fleet.control.conversations("echo", limit=1000)
    assert {row["client_id"] for row in rows} == {"load"}


async def test_an_order_with_a_key_is_one_turn(api: Api) -> None:
    """Asked again under its key, also by many at once, it is answered as the first time and stored once."""
    body = {"message": "hello", "conversation_id": "c", "client_id": "a"}
    asking = [api.ask("POST", "/v1/bots/echo/chat", json=body, headers={"Idempotency-Key": "k"}) for _ in range(5)]
    answers = await asyncio.gather(*asking)
    assert {answer.status for answer in answers} == {200}
    assert len({json.dumps(answer.body) for answer in answers}) == 1
    [row] = await api.fleet.control.conversations("echo")
    assert row["turns"] == 1
