"""The shape the house style asks for, measured over the syntax trees."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("config", "store", "workers", "console")
BANNED_NAMES = {"utils", "helpers", "common", "misc", "models"}
BROAD_EXCEPTS = {
    "store/writer.py": "hands what a job raised to the caller who waits for it",
    "workers/worker.py": "counts what one update or lane raised",
    "workers/keeper.py": "one bot fails for itself only",
    "workers/run.py": "the keeper's boundary: whatever a worker raises ends there",
    "workers/pool.py": "the pool outlives its parts",
    "workers/logbook.py": "who logs must not fail for it, whatever the text's __str__ raises",
    "workers/media/reading.py": "a library given garbage raises whatever it likes, in a process of its own",
    "workers/tools/calling.py": "whatever a tool raises is a text for the model",
    "workers/tools/modules.py": "a fleet's own file may raise anything while it is loaded",
    "workers/tools/servers.py": "a server's session may end with anything, and is begun anew",
    "workers/tools/threads.py": "a function in a thread may raise anything; who waits is told",
    "console/headless.py": "the boundary of the process",
    "console/web/requests.py": "the boundary of a request",
}
"""Where a broad except may stand, and why. One that cleans up and raises again may stand anywhere."""


def sources() -> Iterator[tuple[str, str]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")


@cache
def trees() -> tuple[tuple[str, ast.Module], ...]:
    return tuple((name, ast.parse(text)) for name, text in sources())


def length(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def functions() -> list[tuple[int, str]]:
    return [
        (length(node), f"{name}:{node.lineno} {node.name}")
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_functions_are_short() -> None:
    """Median at most 10 lines, nine of ten at most 30, none above 80."""
    found = sorted(functions())
    lengths = [lines for lines, _ in found]
    assert statistics.median(lengths) <= 10
    assert lengths[int(len(lengths) * 0.9)] <= 30
    assert [where for lines, where in found if lines > 80] == []


def test_classes_and_modules_are_small() -> None:
    """Classes have at most 250 lines, modules 400."""
    classes = [
        f"{name}:{node.lineno} {node.name}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and length(node) > 250
    ]
    modules = [name for name, text in sources() if text.count("\n") > 400]
    assert (classes, modules) == ([], [])


def test_no_drawer_modules() -> None:
    """No module is named for being a drawer."""
    assert [name for name, _ in sources() if Path(name).stem in BANNED_NAMES] == []


def raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_broad_excepts_stand_only_at_the_boundaries() -> None:
    """`except Exception` is written only where a boundary needs it, never bare, never BaseException."""
    found = set()
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and not raises_again(node):
                kinds = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)} if node.type else {"bare"}
                if kinds & {"bare", "Exception", "BaseException"}:
                    found.add(name)
    assert found <= BROAD_EXCEPTS.keys()


def test_every_error_has_a_sentence_and_is_used() -> None:
    """Each class of an errors.py has a docstring and is raised, caught or derived from somewhere else."""
    everything = list(sources())
    idle = []
    for name, tree in trees():
        if not name.endswith("errors.py"):
            continue
        elsewhere = "\n".join(text for other, text in everything if other != name)
        own = dict(everything)[name]
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                assert ast.get_docstring(node), f"{name}: {node.name} has no sentence"
                if node.name not in elsewhere and f"({node.name})" not in own:
                    idle.append(f"{name}: {node.name}")
    assert idle == []


def test_init_files_hold_a_docstring_or_a_registry() -> None:
    """Package roots stay empty of logic, so that importing one costs nothing."""
    large = [name for name, text in sources() if name.endswith("__init__.py") and text.count("\n") > 80]
    assert large == []
