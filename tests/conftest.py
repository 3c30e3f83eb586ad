"""What every test gets: one event loop kind, a clean environment, and time in hand."""

from __future__ import annotations

import os
import sys

import pytest

from workers.clock import ManualClock

# Without byte code on disk each worker compiles every test anew, and each of the hundreds of processes all of botdeck.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """Every async test runs on asyncio with uvloop, as a fleet does."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own fleet out of the tests."""
    for name in list(os.environ):
        if name.startswith("BOTDECK_") or name in {"NOTIFY_SOCKET", "OPENAI_API_KEY", "SUPPORT_TOKEN"}:
            monkeypatch.delenv(name)


@pytest.fixture
def clock() -> ManualClock:
    """Time that stands still until the test moves it."""
    return ManualClock()
