"""The direction of imports, proved by fresh interpreters, and what quick commands must not load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def modules_of(package: str) -> list[str]:
    return sorted(
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__main__.py"
    )


def loaded_after(code: str) -> set[str]:
    """Return the names of all modules a fresh interpreter holds after running code."""
    probe = f"{code}\nimport sys, json; sys.stderr.write(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    ("package", "above"),
    [("config", {"store", "workers", "console"}), ("store", {"workers", "console"}), ("workers", {"console"})],
)
def test_a_package_loads_nothing_above_it(package: str, above: set[str]) -> None:
    """Importing every module of a package loads no package that stands above it, and never Textual."""
    code = "\n".join(f"import {name}" for name in modules_of(package))
    tops = {name.split(".")[0] for name in loaded_after(code)}
    assert not tops & (above | {"textual"})


def test_nothing_below_the_tui_loads_textual() -> None:
    """Every module outside console/tui imports without Textual."""
    names = [n for n in modules_of("console") if not n.startswith("console.tui")]
    assert "textual" not in loaded_after("\n".join(f"import {name}" for name in names))


def test_the_first_screen_loads_no_other() -> None:
    """What is drawn only when it is asked for is imported only then: charts, panels, dialogs, what colours and edits text."""
    loaded = loaded_after("import console.tui.app, console.tui.screens.fleet, console.tui.driver")
    later = {
        "console.tui.widgets.figures",
        "console.tui.widgets.chart",
        "console.tui.palette",
        "console.tui.screens.bot",
    }
    later |= {"console.tui.screens.help", "textual.widgets._text_area", "textual.widgets._markdown", "pygments.lexers"}
    assert not loaded & later
    assert not {name for name in loaded if name.startswith(("console.tui.panels.", "markdown_it", "tree_sitter"))}


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["status", "--help"], ["run", "--help"]])
def test_quick_commands_load_no_heavy_library(arguments: list[str], tmp_path: Path) -> None:
    """`botdeck --help` and `botdeck status` load neither Textual nor telegram nor openai, nor the web stack."""
    from console.commands.init import write_fleet

    write_fleet(tmp_path)
    argv = [*arguments, "-C", str(tmp_path)] if arguments == ["status"] else arguments
    loaded = loaded_after(f"from console.cli import run\nrun({argv!r})")
    heavy = {"textual", "telegram", "openai", "aiohttp", "fastapi", "uvicorn", "httpx", "watchfiles"}
    assert not loaded & heavy


def test_the_vocabulary_imports_nothing_of_ours() -> None:
    """config.vocabulary stands at the bottom."""
    ours = {
        n
        for n in loaded_after("import config.vocabulary")
        if n.split(".")[0] in {"config", "store", "workers", "console"}
    }
    assert ours == {"config", "config.vocabulary"}
