"""What is shipped is what is here, and it runs from a folder that holds strangers of our names."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("console", "workers", "store", "config")

pytestmark = pytest.mark.packaging


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "BOTDECK"))} | environment
    return subprocess.run([*map(str, command)], cwd=cwd, env=env, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("wheel")
    done = run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", target, ROOT, cwd=target)
    assert done.returncode == 0, done.stderr
    return next(target.glob("botdeck-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel and nothing of the tree."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=True, symlinks=True)
    done = run(home / "bin/python", "-m", "pip", "install", "--quiet", wheel, cwd=home)
    assert done.returncode == 0, done.stderr
    return home / "bin"


def test_the_wheel_holds_the_tree_and_nothing_else(wheel: Path) -> None:
    """Each file of the four packages is in the wheel, and no other."""
    tracked = run("git", "ls-files", "--", *PACKAGES, cwd=ROOT).stdout.split()
    shipped = [n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n]
    assert sorted(shipped) == sorted(tracked)


def test_it_runs_beside_a_foreign_config_module(installed: Path, tmp_path: Path) -> None:
    """A folder with a config.py of its own does not disturb the installed program: init, check, run, stop."""
    (tmp_path / "config.py").write_text("raise SystemExit('the stranger was imported')\n")
    made = run(installed / "botdeck", "init", "fleet", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    checked = run(installed / "botdeck", "check", "-C", "fleet", cwd=tmp_path)
    assert (checked.returncode, checked.stderr) == (0, "")
    for command in ("--help", "--version", "status --help"):
        assert run(installed / "botdeck", *command.split(), cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("name", PACKAGES)
def test_a_stranger_in_front_is_named_in_one_sentence(installed: Path, tmp_path: Path, name: str) -> None:
    """When PYTHONPATH puts a foreign module first, the program names it and stops."""
    stranger = tmp_path / f"{name}.py"
    stranger.write_text("")
    done = run(installed / "botdeck", "--version", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr or name == "console"
    if name != "console":
        assert str(stranger) in done.stderr
        assert "hint:" in done.stderr
