"""`botdeck status`, as an operator and as a program read it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from config.vocabulary import Condition
from console.commands.status import headline, note, verdict
from console.control import BotRow
from console.judgement import degraded, falls_short, troubles, worst_first
from console.output import fit
from tests.costs import YARDSTICK_S, in_yardsticks
from tests.operated import ROOT, World, botdeck, finish
from tests.waiting import eventually_sync

pytestmark = pytest.mark.timeout(60)

STATUS_CPU_S = 0.300


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("w"))
    made.add_bot("alpha")
    made.add_bot("beta")
    (made.root / "bots" / "gamma.toml").write_text("channel = 1\n")
    made.start()
    made.ask("alpha", "x")
    made.ask("beta", "x")
    yield made
    made.end()


def row(bot_id: str = "a", **more: object) -> BotRow:
    base = {
        "bot_id": bot_id, "name": bot_id, "phase": "running", "phase_reason": "", "conditions": {}, "desired": "run",
        "paused": False, "since": 10.0, "telegram": None, "last_poll_age_s": 1.0, "inbox_open": 0, "outbox_open": 0,
        "turns": 0, "errors": 0, "restarts": 0, "ambiguous_sends": 0, "retry_at": None, "generation": 1,
        "observed_generation": 1, "config_error": None,
    }  # fmt: skip
    return base | more  # type: ignore[return-value]


def test_the_table_is_plain_aligned_and_worst_first(world: World) -> None:
    """For people: a sentence on the fleet, a line per bot, what needs a person on top, not one escape code."""
    done = world.cli("status", TERM="dumb")
    head, columns, *lines = done.stdout.splitlines()
    assert "1 invalid, 2 running" in head
    assert columns.split() == ["BOT", "PHASE", "FOR", "POLL", "INBOX", "OUTBOX", "TURNS", "ERRORS", "RESTARTS", "NOTE"]
    assert [line.split()[0] for line in lines] == ["gamma", "alpha", "beta"]
    assert {line.index(line.split()[1]) for line in lines} == {columns.index("PHASE")}
    assert "gamma.toml:1:" in lines[0]
    assert "\x1b" not in done.stdout
    assert done.returncode == 3


def test_json_has_the_documented_shape(world: World) -> None:
    """{"fleet": …, "bots": […]} with what programs rely on."""
    status = json.loads(world.cli("status", "--json").stdout)
    assert status["fleet"]["phases"] == {"invalid": 1, "running": 2}
    assert status["fleet"]["pid"] == world.fleet.pid
    assert {"name", "pid", "started_at", "version"} <= status["fleet"].keys()
    alpha = status["bots"][0]
    assert alpha["conditions"]["ready"]["status"] is True
    assert alpha["telegram"] == {"id": int(world.tokens["alpha"].split(":")[0]), "username": "alpha_bot"}
    assert alpha["turns"] == 1


def test_a_pipe_that_closes_early_is_no_failure(world: World) -> None:
    """`botdeck status | head -1` prints no trace."""
    command = f"{sys.executable} -m console status -C {world.root} | head -1"
    env = os.environ | {"XDG_RUNTIME_DIR": str(world.runtime)}
    done = subprocess.run(command, shell=True, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_another_runtime_folder_still_finds_the_fleet(world: World) -> None:
    """The lock file says where the socket is: a shell without XDG_RUNTIME_DIR reaches the same fleet."""
    done = botdeck("status", "--json", "-C", str(world.root), XDG_RUNTIME_DIR="")
    assert json.loads(done.stdout)["fleet"]["running"] is True


def test_the_socket_and_its_folder_are_private(world: World) -> None:
    """0600 in a folder 0700."""
    [socket] = world.runtime.rglob("ctl.sock")
    assert socket.stat().st_mode & 0o777 == 0o600
    assert socket.parent.stat().st_mode & 0o777 == 0o700


def test_a_fleet_that_does_not_run_is_read_from_its_database(tmp_path: Path) -> None:
    """Exit 4, and what was last written down; before the first run there is nothing to show."""
    made = World(tmp_path)
    try:
        made.add_bot("alpha")
        empty = made.cli("status")
        assert (empty.returncode, "does not run" in empty.stdout) == (4, True)
        assert not (made.root / "botdeck.db").exists()
        made.start()
        made.ask("alpha", "x")
        assert made.fleet is not None
        finish(made.fleet)
        done = made.cli("status", "--json")
        assert done.returncode == 4
        status = json.loads(done.stdout)
        assert status["fleet"]["running"] is False
        assert [(b["bot_id"], b["phase"], b["turns"]) for b in status["bots"]] == [("alpha", "stopped", 1)]
        assert "x" not in made.cli("logs").stdout.split()
        assert made.cli("events", "alpha", "--kind", "replysent").returncode == 0
        assert made.cli("logs", "--follow").returncode == 4
    finally:
        made.end()


def test_status_is_light(tmp_path: Path) -> None:
    """At most 300 ms of CPU where the yardstick costs what it did."""
    (tmp_path / "bots").mkdir()
    assert in_yardsticks("-m", "console", "status", "-C", str(tmp_path)) < STATUS_CPU_S / YARDSTICK_S


def test_what_needs_a_person_comes_first() -> None:
    """Phases by urgency, degraded before healthy, an unknown phase before everything."""
    rows = [
        row("stopped", phase="stopped", desired="stop"),
        row("fine"),
        row("hung", conditions={"hung": {"status": True, "reason": "60 s"}}),
        row("backoff", phase="backoff"),
        row("quarantined", phase="quarantined"),
        row("new", phase="levitating"),
    ]
    assert [r["bot_id"] for r in worst_first(rows)] == ["new", "quarantined", "backoff", "hung", "fine", "stopped"]


@pytest.mark.parametrize(
    ("made", "short", "worse"),
    [
        (row(), False, False),
        (row(phase="stopped", desired="stop"), False, False),
        (row(phase="disabled"), False, False),
        (row(phase="starting"), True, False),
        (row(phase="backoff"), True, False),
        (row(paused=True), False, False),
        (row(conditions={"polling": {"status": False, "reason": "no route"}}), False, True),
        (row(conditions={"ready": {"status": None, "reason": ""}}), False, False),
    ],
)
def test_judgement(made: BotRow, short: bool, worse: bool) -> None:
    """On purpose is fine; wanted and not running falls short; running with trouble is degraded."""
    assert (falls_short(made), degraded(made)) == (short, worse)


@pytest.mark.parametrize("phase", ["running", "backoff", "stopped", "disabled", "levitating"])
def test_whoever_is_degraded_has_troubles(phase: str) -> None:
    """The quick question, asked of every bot when a list is sorted, and the words for people say the same."""
    for condition, status, error in product(Condition, (True, False, None), (None, "bad")):
        made = row(phase=phase, config_error=error, conditions={condition.value: {"status": status, "reason": ""}})
        assert degraded(made) == bool(troubles(made)), (condition, status, error)


def test_exit_codes() -> None:
    """0 as wanted, 3 short, 3 while the database refuses writes, 3 degraded when strict, 4 not running."""
    fleet = {"running": True, "store_fault": None}
    assert verdict({"fleet": fleet | {"store_fault": "full"}, "bots": [row()]}, strict=False) == 3  # type: ignore[typeddict-item]
    bad = row(conditions={"throttled": {"status": True, "reason": ""}})
    assert verdict({"fleet": fleet, "bots": [row(), bad]}, strict=False) == 0  # type: ignore[typeddict-item]
    assert verdict({"fleet": fleet, "bots": [row(), bad]}, strict=True) == 3  # type: ignore[typeddict-item]
    assert verdict({"fleet": fleet, "bots": [row(phase="invalid")]}, strict=False) == 3  # type: ignore[typeddict-item]
    assert verdict({"fleet": {"running": False}, "bots": []}, strict=False) == 4  # type: ignore[typeddict-item]


def test_the_note_says_the_one_thing_to_know() -> None:
    """Why it does not run and when it is tried next, else its worst trouble."""
    assert (
        note(row(phase="backoff", phase_reason="ValueError: x", retry_at=130.0), 100.0)
        == "ValueError: x; next try in 30s"
    )
    hung = {"hung": {"status": True, "reason": "no progress"}, "throttled": {"status": True, "reason": ""}}
    assert note(row(conditions=hung), 100.0) == "hung: no progress"
    assert troubles(row(phase="stopped", desired="stop", config_error="bad", conditions=hung)) == [
        "config_current: bad"
    ]


def test_names_of_strangers_steer_no_terminal() -> None:
    """Control characters in a fleet's name are made visible."""
    fleet = {
        "name": "a\x1b[31mb", "running": True, "pid": 1, "started_at": 0.0, "version": "1", "phases": {}, "held": True,
        "store_fault": "full\x07", "root": "/", "database": "/x", "bots": 0, "config_errors": [],
    }  # fmt: skip
    line = headline(fleet, 60.0)  # type: ignore[arg-type]
    assert "\x1b" not in line
    assert "\x07" not in line
    assert "HELD" in line


def test_lines_fit_a_terminal_and_stay_whole_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal a long note is cut to its width; what programs read is never cut."""
    assert fit("x" * 500) == "x" * 500
    terminal, side = os.openpty()
    with os.fdopen(side, "w") as stdout, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stdout)
        patched.setenv("COLUMNS", "40")
        assert [len(line) for line in fit("y" * 40 + "\n" + "z" * 41).split("\n")] == [40, 40]
        assert fit("z" * 41).endswith("…")
    os.close(terminal)


def test_a_fleet_refused_by_its_database_says_so_everywhere(tmp_path: Path) -> None:
    """status fails and names it, doctor fails and names it; both are well again once the file is back."""
    made = World(tmp_path)
    database = made.root / "botdeck.db"
    try:
        made.add_bot("alpha")
        made.start()
        assert made.ask("alpha", "x") == "x"
        database.rename(made.root / "aside")
        eventually_sync(lambda: made.cli("status").returncode == 3)
        assert "deleted or replaced" in made.cli("status").stdout
        doctor = made.cli("doctor", "--no-network")
        assert (doctor.returncode, "deleted or replaced" in doctor.stdout) == (1, True)
        (made.root / "aside").rename(database)
        eventually_sync(lambda: made.cli("status").returncode == 0)
        assert made.cli("doctor", "--no-network").returncode == 0
        assert made.ask("alpha", "y") == "y"
    finally:
        made.end()
