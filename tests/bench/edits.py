"""From the save of a file to the change being live, for one file and for all of them; and what a command costs."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from tests.bench.fleets import ROOT, token_of
from tests.bench.measure import sample
from tests.bench.stage import Figures, Stage, Subject, percentile

SAVES = 40
RUNS = 5


async def edits(stage: Stage) -> Figures:
    """Measure single edits, all files at once (an edit in place, one that restarts each bot), and commands."""
    async with stage.subject("botdeck", stage.bots) as subject:
        await anyio.sleep(3.0)
        control = await subject.control()
        stage.tell("  single edits")
        times = [await _saves(stage, subject.folder, control, number) for number in range(stage.rounds)]
        figures: Figures = {"bots": stage.bots} | {
            f"p{share}_ms": round(statistics.median(percentile(each, share / 100) for each in times) * 1000)
            for share in (50, 95)
        }
        for name in ("in place", "restart"):
            stage.tell(f"  all files at once, {name}")
            rounds = [await _save_all(stage, subject, control, name, number) for number in range(stage.rounds)]
            figures[f"all {name}, s"] = round(statistics.median(each["s"] for each in rounds), 2)
            figures[f"all {name}, CPU s"] = round(statistics.median(each["cpu_s"] for each in rounds), 2)
        stage.tell("  commands")
        figures["help_cpu_ms"] = await _command_ms(subject, "--help")
        figures["status_cpu_ms"] = await _command_ms(subject, "status", "-C", str(subject.folder))
    return figures


async def _saves(stage: Stage, folder: Path, control: Any, number: int) -> list[float]:
    """Save one file after the other; return the seconds each took to be live."""
    return [await _save_one(stage, folder, control, number * SAVES + each) for each in range(SAVES)]


async def _save_one(stage: Stage, folder: Path, control: Any, number: int) -> float:
    which = number * 7 % stage.bots
    bot_id = f"bot{which:05}"
    generation = (await control.bot(bot_id))["observed_generation"]
    began = anyio.current_time()
    (folder / "bots" / f"{bot_id}.toml").write_text(_text(which, system=f"edited {number}"))
    while (await control.bot(bot_id))["observed_generation"] == generation:
        await anyio.sleep(0.002)
    return anyio.current_time() - began


async def _save_all(stage: Stage, subject: Subject, control: Any, name: str, number: int) -> dict[str, float]:
    """Write every file, wait until every bot says that it is at what its file says."""
    before = {row["bot_id"]: row["generation"] for row in (await control.status())["bots"]}
    files = {
        subject.folder / "bots" / f"bot{which:05}.toml": _text(
            which,
            system=f"all {name} {number}",
            more=f'base_file_url = "{subject.double.url}/file{number}/bot"\n' if name == "restart" else "",
        )
        for which in range(stage.bots)
    }
    began, cpu_s = anyio.current_time(), sample(subject.process.pid).cpu_s
    await anyio.to_thread.run_sync(lambda: [path.write_text(text) for path, text in files.items()])
    while not _all_live((await control.status())["bots"], before):
        await anyio.sleep(0.05)
    return {"s": anyio.current_time() - began, "cpu_s": sample(subject.process.pid).cpu_s - cpu_s}


def _all_live(rows: list[dict[str, Any]], before: dict[str, int]) -> bool:
    return all(
        row["phase"] == "running" and row["observed_generation"] == row["generation"] > before[row["bot_id"]]
        for row in rows
    )


def _text(number: int, *, system: str, more: str = "") -> str:
    return f'[telegram]\ntoken = "{token_of(number)}"\n{more}[prompts]\nsystem = "{system}"\n'


async def _command_ms(subject: Subject, *arguments: str) -> float:
    """Return the median CPU of a command, in milliseconds."""
    costs = [await anyio.to_thread.run_sync(_run, arguments, subject.folder) for _ in range(RUNS)]
    return round(statistics.median(costs) * 1000)


def _run(arguments: tuple[str, ...], runtime: Path) -> float:
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("botdeck")), *arguments],
        cwd=ROOT, env=os.environ | {"XDG_RUNTIME_DIR": str(runtime)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    return used.ru_utime + used.ru_stime
