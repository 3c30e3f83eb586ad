"""Whatever frames are sent thin, the reader has them whole."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.thinning import thinned, whole

pytestmark = pytest.mark.anyio

figures = st.fixed_dictionaries(
    {"per_min": st.integers(0, 2), "last_event": st.none() | st.just({"kind": "BotStarted"})}
)
conditions = st.dictionaries(st.sampled_from(["ready", "hung", "polling"]), st.just({"status": True}))
rows = st.fixed_dictionaries(
    {
        "bot_id": st.sampled_from("abc"),
        "retry_at": st.none() | st.just(1.5),
        "conditions": conditions,
        "figures": figures,
    }
)
frames = st.fixed_dictionaries(
    {
        "full": st.booleans(),
        "bots": st.lists(rows, max_size=3, unique_by=lambda row: row["bot_id"]),
        "gone": st.lists(st.sampled_from("abc"), max_size=1),
    }
)


async def each(sent: Iterable[Any]) -> AsyncIterator[Any]:
    """Yield them one by one."""
    for one in sent:
        yield one


async def crossed(thin: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Yield them as the other side of a wire gets them."""
    async for one in thin:
        yield json.loads(json.dumps(one))


@given(st.lists(frames, max_size=5))
async def test_thin_frames_are_made_whole(sent: list[Any]) -> None:
    before = copy.deepcopy(sent)
    assert [frame async for frame in whole(crossed(thinned(each(sent))))] == before
    assert sent == before, "others read the same rows"


@given(st.lists(frames, max_size=5))
async def test_whole_frames_stay_as_they_are(sent: list[Any]) -> None:
    assert [frame async for frame in whole(crossed(each(sent)))] == sent


async def test_what_is_known_already_is_not_sent() -> None:
    row = {"bot_id": "a", "retry_at": None, "conditions": {"ready": 1, "hung": 2}, "figures": {"x": 1, "y": 2}}
    later = {**row, "conditions": {"ready": 1}, "figures": {"x": 1, "y": 3}}
    sent = [{"full": full, "bots": [bot], "gone": []} for full, bot in ((True, row), (False, later))]
    thin = [frame["bots"] async for frame in thinned(each(sent))]
    assert thin == [[row], [{"bot_id": "a", "conditions": {"hung": None}, "figures": {"y": 3}}]]
