"""What docs/tenants.md shows runs: the examples of each section as one program, in a folder of its own."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "tenants.md"
SECTIONS = {
    section.partition("\n")[0]: "\n".join(re.findall(r"```python\n(.*?)```", section, re.DOTALL))
    for section in GUIDE.read_text(encoding="utf-8").split("\n## ")[1:]
}


def compiled(title: str) -> CodeType:
    """Return a section's examples as one program, which may await at its top."""
    code = compile(SECTIONS[title], f"tenants.md: {title}", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert code.co_flags & inspect.CO_COROUTINE, "an example that awaits nothing shows no bot"
    return code


@pytest.mark.parametrize("title", SECTIONS)
async def test_every_section_runs(
    title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    await eval(compiled(title), space)
    said = capsys.readouterr().out
    for comment in re.findall(r"print\(error\)  # (.*)", SECTIONS[title]):
        assert comment in said
