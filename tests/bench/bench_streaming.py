"""What it costs to show an answer while it is made, in CPU of a whole process: `python -m tests.bench.bench_streaming`.

Answers of 300 tokens, 50 tokens a second, shown by edits; beside them the same answers without being shown.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import anyio

from console.sandbox.server import Sandbox
from tests.bench.measure import sample
from tests.fleet_process import fleet_process, write_bot

BOTS = 20
ROUNDS = 5
TOKENS = 300
TOKEN_S = 0.02
CHAT = 501
IDLE_S = 5.0
ALLOWED_MS = 12.0
ANSWER = " ".join(f"word{n % 100}" for n in range(TOKENS))
HOW = {"not shown": "off", "shown by edits": "edit", "shown by drafts": "draft"}


async def cost_ms(how: str, rounds: int) -> tuple[float, float]:
    """Return the CPU milliseconds of one answer, the median of the rounds, and the frames it was shown in."""
    async with Sandbox(keep_sent=2000) as double:
        double.model.answer = lambda _: ANSWER
        double.model.piece_delay_s = TOKEN_S
        bots = [double.add_bot() for _ in range(BOTS)]
        with tempfile.TemporaryDirectory() as folder:
            async with fleet_process(Path(folder)) as fleet:
                llm = {"provider": "openai", "model": "m", "base_url": double.model_url, "api_key": "k"}
                for number, bot in enumerate(bots):
                    sections = {"llm": llm, "reply": {"stream": how}, "telegram": {"poll_timeout_s": 50}}
                    write_bot(Path(folder), f"bot{number}", bot.token, double.base_url, **sections)
                await fleet.started()
                costs = [await _round(fleet.pid, double) for _ in range(rounds + 1)]
        frames = sum(bot.calls["editMessageText"] + bot.calls["sendMessageDraft"] for bot in bots)
    return statistics.median(costs[1:]), frames / BOTS / (rounds + 1)


async def _round(pid: int, double: Sandbox) -> float:
    """Let everybody ask once; return the milliseconds of one answer."""
    await anyio.sleep(2)
    idle = await _idle(pid)
    before, began = sample(pid).cpu_s, anyio.current_time()
    for bot in double.bots.values():
        bot.say(CHAT, "hello")
    with anyio.fail_after(120):
        while not all(bot.sent and bot.sent[-1].text == ANSWER for bot in double.bots.values()):
            await anyio.sleep(0.1)
    await anyio.sleep(1)
    cost_s = sample(pid).cpu_s - before - idle * (anyio.current_time() - began)
    for bot in double.bots.values():
        bot.sent.clear()
    return cost_s / BOTS * 1000


async def _idle(pid: int) -> float:
    """Return the share of a core the fleet takes at rest."""
    before = sample(pid).cpu_s
    await anyio.sleep(IDLE_S)
    return (sample(pid).cpu_s - before) / IDLE_S


async def figures(rounds: int = ROUNDS) -> dict[str, float]:
    """Measure all ways; print as it goes."""
    found: dict[str, float] = {}
    for title, how in HOW.items():
        cost, frames = await cost_ms(how, rounds)
        found[f"{title}, ms"] = round(cost, 2)
        print(f"300 tokens {title}: {cost:.2f} ms of CPU, {frames:.1f} frames", flush=True)
    return found


def main() -> int:
    """Measure; 1 = it costs more than it may."""
    found = anyio.run(figures, backend_options={"use_uvloop": True})
    return int(found["shown by edits, ms"] > ALLOWED_MS)


if __name__ == "__main__":
    sys.exit(main())
