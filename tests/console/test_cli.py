"""The command line: quick, forgiving of typos, honest in its exit codes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from console.cli import TREE, app, run
from tests.costs import YARDSTICK_S, in_yardsticks

ROOT = Path(__file__).resolve().parents[2]
HELP_CPU_S = 0.150


def leaves(tree: dict[str, Any], *path: str) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield (path, module, help) of every command."""
    for name, entry in tree.items():
        if not name:
            continue
        if isinstance(entry, dict):
            yield from leaves(entry, *path, name)
        else:
            yield (*path, name), entry[0], entry[1]


COMMANDS = [path for path, _, _ in leaves(TREE)]


def invoke(*arguments: str | Path, text: str | None = None) -> Result:
    """Run a command in this process, its errors turned into exit codes as in a shell."""
    runner = CliRunner()
    with runner.isolation(input=text) as streams:
        code = run([str(a) for a in arguments])
        out, err = streams[0].getvalue().decode(), streams[1].getvalue().decode()
    return Result(runner, out.encode(), err.encode(), (out + err).encode(), None, code, None)


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(path: tuple[str, ...]) -> None:
    """Each --help has a usage line, the sentence of the table, and a command line to copy."""
    result = invoke(*path, "--help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: botdeck {' '.join(path)}")
    assert f"botdeck {' '.join(path)}" in result.stdout.partition("Example")[2]


def test_the_table_and_the_commands_say_the_same() -> None:
    """A command's short help is the one shown in the list."""
    for path, _, text in leaves(TREE):
        command: click.Command = app
        for name in path:
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), name)
            assert found is not None
            command = found
        assert command.get_short_help_str(200).rstrip(".") == text.rstrip("."), path


@pytest.mark.parametrize("path", [(), ("run",), ("status",), ("bot", "add"), ("logs",), ("demo",)])
def test_help_answers_at_once(path: tuple[str, ...]) -> None:
    """Help costs less than 150 ms of CPU where the yardstick costs what it did."""
    assert in_yardsticks("-m", "console", *path, "--help") < HELP_CPU_S / YARDSTICK_S


@pytest.mark.parametrize(("typo", "meant"), [("statsu", "status"), ("restrt", "restart")])
def test_a_typo_is_answered_with_the_nearest_command(typo: str, meant: str) -> None:
    """Usage errors exit with 2 and help on."""
    result = invoke(typo)
    assert result.exit_code == 2
    assert meant in result.stderr


def test_init_writes_a_fleet_that_checks(tmp_path: Path) -> None:
    """A new folder is complete, valid as it stands, and never written over."""
    assert invoke("init", tmp_path / "fleet").exit_code == 0
    names = {str(p.relative_to(tmp_path / "fleet")) for p in (tmp_path / "fleet").rglob("*") if p.is_file()}
    assert names == {"fleet.toml", "bots/example.toml", ".env.example", ".env", ".gitignore"}
    assert (tmp_path / "fleet/.env").stat().st_mode & 0o777 == 0o600
    result = invoke("check", "-C", tmp_path / "fleet")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "ok: 1 bot ready\n", "")
    again = invoke("init", tmp_path / "fleet")
    assert again.exit_code == 2
    assert "is a fleet already" in again.stderr


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    invoke("init", tmp_path)
    return tmp_path


def test_check_names_every_problem_and_where(fleet: Path) -> None:
    """Two mistakes in two files are two located lines, exit code 2; --json says the same."""
    (fleet / "bots/example.toml").write_text('[telegram]\ntoken = "${NOBODY}"\n[llm]\ntempature = 1\n')
    (fleet / "bots/other.toml").write_text('channel = "none"\n[memory\n')
    result = invoke("check", "-C", fleet)
    assert result.exit_code == 2
    for part in ("example.toml:2:", "NOBODY", "example.toml:4:1", "temperature", "other.toml:2:"):
        assert part in result.stdout
    problems = json.loads(invoke("check", "-C", fleet, "--json").stdout)["problems"]
    assert {(Path(p["file"]).name, p["line"]) for p in problems} == {
        ("example.toml", 2), ("example.toml", 4), ("other.toml", 2),
    }  # fmt: skip


def test_config_show_masks_secrets_and_says_where_from(fleet: Path) -> None:
    """The effective configuration, with origins, without the token."""
    result = invoke("config", "show", "example", "-C", fleet, "--origin")
    assert result.exit_code == 0
    assert "sandbox-token" not in result.output
    assert "fleet.toml:" in result.stdout
    assert "bots/example.toml:" in result.stdout
    shown = json.loads(invoke("config", "show", "example", "-C", fleet, "--json").stdout)
    assert shown["config"]["memory"]["max_messages"] == 20
    assert shown["origins"]["memory.max_messages"]["layer"] == "fleet"
    assert "sandbox-token" not in json.dumps(shown)


def test_config_show_of_nobody_names_the_nearest(fleet: Path) -> None:
    """No such bot: exit code 4."""
    result = invoke("config", "show", "exampel", "-C", fleet)
    assert result.exit_code == 4
    assert "'example'" in result.stderr


@pytest.mark.parametrize("file", ["bot", "fleet", "environment"])
def test_config_schema_is_a_schema(file: str) -> None:
    """The schema is JSON and names its draft."""
    assert "$schema" in json.loads(invoke("config", "schema", file).stdout)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    """Each shell gets a script that asks botdeck."""
    result = invoke("completion", shell)
    assert result.exit_code == 0
    assert "_BOTDECK_COMPLETE" in result.stdout


def test_doctor_finds_what_is_wrong_without_the_network(fleet: Path) -> None:
    """A broken file fails, an open .env warns, the rest is fine."""
    (fleet / ".env").chmod(0o644)
    (fleet / "bots/bad.toml").write_text("nonsense")
    findings = json.loads(invoke("doctor", "-C", fleet, "--no-network", "--json").stdout)
    results = {(f["check"], f["result"]) for f in findings}
    assert ("configuration", "failure") in results
    assert (".env", "warning") in results
    assert ("python", "ok") in results
    assert invoke("doctor", "-C", fleet, "--no-network").exit_code == 1
