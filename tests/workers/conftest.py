"""A registry of a world of its own, for the tests of registries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.workers.registry_rig import CountedBackend, World, open_world
from workers.registry import BotRegistry


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


@pytest.fixture
async def backend() -> CountedBackend:
    return CountedBackend()


@pytest.fixture
async def registry(world: World, backend: CountedBackend) -> AsyncIterator[BotRegistry]:
    async with world.registry(backend, cache_ttl=300, max_cache_size=3) as made:
        yield made
