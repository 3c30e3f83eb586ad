"""What Prometheus is told: every line as it can be read, every family whole, every figure the bot's own."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.exposition import Exposition, label
from store.usage import Tokens
from tests.console.api_rig import Api, serving
from tests.waiting import eventually

pytestmark = pytest.mark.anyio

LINE = re.compile(
    r'(?P<name>[a-z_]+)(?:\{(?P<labels>(?:[a-z]+="(?:[^"\\\n]|\\[\\"n])*",?)+)\})? (?P<value>-?[0-9.e+-]+)'
)


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f") as running:
        yield running


def read(text: str) -> dict[str, dict[str, float]]:
    """Read an exposition as strictly as its format is: families whole, each after what it is, no series twice."""
    assert text.endswith("\n")
    found: dict[str, dict[str, float]] = defaultdict(dict)
    kinds: dict[str, str] = {}
    family = ""
    lines = text.split("\n")[:-1]
    for at, line in enumerate(lines):
        if line.startswith("# HELP "):
            family = line.split(" ")[2]
            assert family not in kinds, "a family comes once"
            _, _, name, kinds[family] = lines[at + 1].split(" ")
            assert name == family
            assert kinds[family] in {"gauge", "counter", "summary"}
            assert (kinds[family] == "counter") == family.endswith("_total")
            continue
        if line.startswith("# TYPE "):
            continue
        match = LINE.fullmatch(line)
        assert match, line
        name = match["name"]
        assert name in ({family, f"{family}_sum", f"{family}_count"} if kinds[family] == "summary" else {family}), line
        assert match["labels"] not in found[name], line
        found[name][match["labels"]] = float(match["value"])
    return found


async def text_of(api: Api) -> str:
    answer = await api.ask("GET", "/metrics", key=await api.key("read"))
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return str(answer.body)


async def test_figures_are_those_of_the_bot(api: Api) -> None:
    """At least twenty series of each bot; counters, gauges and summaries as they were counted."""
    await eventually(lambda: api.fleet.pool.bot("echo").phase == "running")
    metrics = api.fleet.metrics
    metrics.count("echo", "messages", 3)
    metrics.count("echo", "replies", 2)
    metrics.spend("echo", Tokens("echo", "echo", 100, 50))
    for seconds in (0.25, 0.75):
        metrics.observe("echo", "turn_s", seconds)
        metrics.observe("echo", "model_s", seconds)
    found = read(await text_of(api))
    of_echo = [series for name in found for series in found[name] if 'bot="echo"' in str(series)]
    assert len(of_echo) >= 20
    echo = 'bot="echo"'
    assert found["botdeck_bot_up"] == {echo: 1}
    assert found["botdeck_bot_phase"] == {f'{echo},phase="running"': 1}
    assert found["botdeck_bot_messages_total"] == {echo: 3}
    assert found["botdeck_bot_tokens_in_total"] == {echo: 100}
    assert found["botdeck_bot_turn_seconds_sum"] == {echo: 1}
    assert found["botdeck_bot_turn_seconds_count"] == {echo: 2}
    assert found["botdeck_bot_turn_seconds"][f'{echo},quantile="0.95"'] == 0.75
    assert found["botdeck_bots"]['phase="running"'] == 1
    assert found["botdeck_info"]


async def test_counters_never_fall_while_minutes_are_written_down(api: Api) -> None:
    """What is flushed into the store stays counted; a bot that is removed is not told of any more."""
    metrics = api.fleet.metrics
    metrics.count("echo", "messages", 3)
    await metrics.flush(api.fleet.store)
    metrics.count("echo", "messages", 1)
    assert read(await text_of(api))["botdeck_bot_messages_total"] == {'bot="echo"': 4}
    await api.fleet.control.remove_bot("echo", actor="test")
    assert 'bot="echo"' not in await text_of(api)


async def test_bots_without_a_file_are_told_of_by_what_they_did(api: Api) -> None:
    """A registered bot has no phase, and counters like every other."""
    api.fleet.metrics.count("tenant-1", "messages", 2)
    found = read(await text_of(api))
    assert found["botdeck_bot_messages_total"]['bot="tenant-1"'] == 2
    assert 'bot="tenant-1"' not in found["botdeck_bot_up"]


async def test_the_loop_is_free_in_between(api: Api) -> None:
    """Between two slices of bots, and between pages, others have their turn."""
    for number in range(100):
        api.fleet.metrics.count(f"b{number}", "messages")
    turns, slept = 0, api.fleet.clock.sleep

    async def counted(seconds: float) -> None:
        nonlocal turns
        turns += 1
        await slept(seconds)

    exposition = Exposition(api.fleet)
    api.fleet.clock.sleep = counted  # type: ignore[method-assign]
    assert [page async for page in exposition.pages()]
    assert turns > 5


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plain", "plain"),
        ('a"b', r"a\"b"),
        ("a\\b", r"a\\b"),
        ("a\nb", r"a\nb"),
        ('\\"\n', r"\\\"\n"),
        ("ü{}=,", "ü{}=,"),
    ],
)
def test_labels_are_escaped(text: str, told: str) -> None:
    """Backslash, quote and line feed, and nothing else."""
    assert label(text) == told
