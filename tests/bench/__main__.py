"""`make bench`: memory, start, idle CPU, turns per core-second, edit to live — beside the peers, in one run.

The Bot API double runs in this process, each subject in one of its own; CPU and memory are read from the kernel.
`python -m tests.bench [--quick] [figure …]`
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import uvloop

from console.sandbox.server import Sandbox
from tests.bench import bench_llm
from tests.bench.fleets import botdeck, peer, running, token_of, write_fleet
from tests.bench.measure import Sample, machine, sample

RESULTS = Path(__file__).parent / "results"


class Bench:
    """One run of all figures."""

    def __init__(self, *, quick: bool) -> None:
        self.bots = 200 if quick else 1000
        self.peer_bots = 50 if quick else 200
        self.idle_s = 6.0 if quick else 30.0
        self.per_bot = 30 if quick else 150
        self.turn_bots = 100 if quick else 200
        self.rounds = 1 if quick else 3
        self.figures: dict[str, Any] = {}
        self.scratch = Path(tempfile.mkdtemp(prefix="botdeck-bench-"))

    def sandbox(self, bots: int) -> Sandbox:
        """Return a double that knows the benchmark's bots."""
        double = Sandbox(keep_sent=0)
        for number in range(bots):
            double.add_bot(token_of(number))
        return double

    # --- many idle bots ----------------------------------------------------------------------------------------

    async def idle(self) -> None:
        """Memory a bot, time to all polling, CPU while nothing happens."""
        empty = await self._rest("botdeck", 0)
        ours = await self._rest("botdeck", self.bots)
        ptb = await self._rest("ptb", self.peer_bots)
        aio = await self._rest("aiogram", self.bots)
        base = empty["rss_kib"]
        self.figures["idle"] = {
            "botdeck": self._per_bot(ours, base, self.bots),
            "python-telegram-bot": self._per_bot(ptb, await self._peer_base("ptb"), self.peer_bots),
            "aiogram": self._per_bot(aio, await self._peer_base("aiogram"), self.bots),
        }

    async def _peer_base(self, name: str) -> int:
        return int((await self._rest(name, 1))["rss_kib"])

    def _per_bot(self, seen: dict[str, float], base_kib: float, bots: int) -> dict[str, float]:
        return {
            "bots": bots,
            "kib_per_bot": round((seen["rss_kib"] - base_kib) / max(1, bots), 1),
            "all_polling_s": round(seen["polling_s"], 2),
            "start_cpu_ms_per_bot": round(seen["start_cpu_s"] * 1000 / max(1, bots), 2),
            "idle_cpu_percent": round(seen["idle_cpu_percent"], 2),
            "stop_s": round(seen["stop_s"], 2),
        }

    async def _rest(self, name: str, bots: int) -> dict[str, float]:
        """Start a subject with idle bots, wait for all to poll, watch it rest, stop it."""
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        async with self.sandbox(bots) as double:
            command = self._command(name, double, bots, folder, poll_s=10)
            began = anyio.current_time()
            with running(command, output=folder / "output", XDG_RUNTIME_DIR=str(folder)) as process:
                await self._until(lambda: sum(b.calls["getUpdates"] > 0 for b in double.bots.values()) == bots, process)
                polling_s = anyio.current_time() - began
                started = sample(process.pid)
                await anyio.sleep(3.0)
                before = sample(process.pid)
                await anyio.sleep(self.idle_s)
                after = sample(process.pid)
                stopping = anyio.current_time()
                process.terminate()
                await anyio.to_thread.run_sync(process.wait)
                stop_s = anyio.current_time() - stopping
        return {
            "polling_s": polling_s,
            "start_cpu_s": started.cpu_s,
            "rss_kib": after.rss_kib,
            "idle_cpu_percent": (after.cpu_s - before.cpu_s) / self.idle_s * 100,
            "stop_s": stop_s,
        }

    def _command(self, name: str, double: Sandbox, bots: int, folder: Path, *, poll_s: int) -> list[str]:
        if name == "botdeck":
            write_fleet(folder, double.base_url, bots, poll_s=poll_s)
            return botdeck(folder)
        return peer(name, double.base_url, bots, folder / "tokens.json", poll_s=poll_s)

    async def _until(
        self, condition: Callable[[], bool], process: subprocess.Popen[bytes], limit_s: float = 300
    ) -> None:
        with anyio.fail_after(limit_s):
            while not condition():
                if process.poll() is not None:
                    raise SystemExit(f"the subject ended early with code {process.returncode}; see {self.scratch}")
                await anyio.sleep(0.01)

    # --- turns -------------------------------------------------------------------------------------------------

    async def turns(self) -> None:
        """Echo turns per core-second under saturation: everything waits at the server when the subject starts."""
        figures: dict[str, list[float]] = {"botdeck": [], "python-telegram-bot": [], "aiogram": []}
        for _ in range(self.rounds):
            for title, name in (("botdeck", "botdeck"), ("python-telegram-bot", "ptb"), ("aiogram", "aiogram")):
                figures[title].append(await self._saturate(name))
        medians = {name: round(statistics.median(values)) for name, values in figures.items()}
        self.figures["turns_per_core_second"] = medians | {
            "ratio to python-telegram-bot": round(medians["botdeck"] / medians["python-telegram-bot"], 2),
            "ratio to aiogram": round(medians["botdeck"] / medians["aiogram"], 2),
        }

    async def _saturate(self, name: str) -> float:
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        bots, total = self.turn_bots, self.turn_bots * self.per_bot
        async with self.sandbox(bots) as double:
            command = self._command(name, double, bots, folder, poll_s=10)
            with running(command, output=folder / "output", XDG_RUNTIME_DIR=str(folder)) as process:
                everybody = list(double.bots.values())
                await self._until(lambda: all(b.calls["getUpdates"] > 0 for b in everybody), process)
                await anyio.sleep(2.0)
                before = sample(process.pid)
                for message in range(self.per_bot):
                    for bot in everybody:
                        bot.say(1 + message % 10, f"message {message}")
                    await anyio.sleep(0)
                await self._until(lambda: sum(b.sent_count for b in everybody) >= total, process)
                await anyio.sleep(0.5)
                after: Sample = sample(process.pid)
        return total / (after.cpu_s - before.cpu_s)

    # --- edits -------------------------------------------------------------------------------------------------

    async def edit(self) -> None:
        """Time from the save of one bot file to the change being live, in a fleet of many."""
        from console.attach import connect
        from console.place import find

        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        async with self.sandbox(self.bots) as double:
            command = self._command("botdeck", double, self.bots, folder, poll_s=10)
            with running(command, output=folder / "output", XDG_RUNTIME_DIR=str(folder)) as process:
                await self._until(lambda: all(b.calls["getUpdates"] > 0 for b in double.bots.values()), process)
                await anyio.sleep(3.0)
                os.environ["XDG_RUNTIME_DIR"] = str(folder)
                control = await connect(find(folder, None))
                times = [await self._edit_once(folder, control, n) for n in range(20)]
        times.sort()
        self.figures["edit_to_live_ms"] = {
            "bots": self.bots,
            "p50": round(times[len(times) // 2] * 1000),
            "p95": round(times[int(len(times) * 0.95)] * 1000),
        }

    async def _edit_once(self, folder: Path, control: Any, number: int) -> float:
        bot_id = f"bot{number * 7 % self.bots:05}"
        path = folder / "bots" / f"{bot_id}.toml"
        generation = (await control.bot(bot_id))["observed_generation"]
        text = f'[telegram]\ntoken = "{token_of(number * 7 % self.bots)}"\n[prompts]\nsystem = "edited {number}"\n'
        began = anyio.current_time()
        path.write_text(text)
        while (await control.bot(bot_id))["observed_generation"] == generation:
            await anyio.sleep(0.002)
        return anyio.current_time() - began

    # --- model -------------------------------------------------------------------------------------------------

    async def llm(self) -> None:
        """CPU of a model's answer."""
        self.figures["model_answer_cpu_ms"] = await anyio.to_thread.run_sync(bench_llm.main)


def report(figures: dict[str, Any]) -> str:
    """Return the figures as text for people."""
    return json.dumps(figures, indent=2)


def main() -> None:
    """Run the figures asked for, print and keep them."""
    names = {"idle": Bench.idle, "turns": Bench.turns, "edit": Bench.edit, "llm": Bench.llm}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figures", nargs="*", choices=[*names, []], help="default: all")
    parser.add_argument("--quick", action="store_true", help="smaller fleets, one round: to see that it runs")
    arguments = parser.parse_args()
    bench = Bench(quick=arguments.quick)
    bench.figures["machine"] = machine()
    bench.figures["taken"] = datetime.now(UTC).isoformat(timespec="minutes")
    for name in arguments.figures or names:
        figure: Callable[[Bench], Awaitable[None]] = names[name]
        uvloop.run(figure(bench))
        print(report(bench.figures), flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "latest.json").write_text(report(bench.figures))


if __name__ == "__main__":
    main()
