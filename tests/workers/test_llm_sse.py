"""Server-sent events, cut anywhere."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.errors import ProviderUnavailable
from workers.llm.sse import MAX_EVENT_BYTES, EventReader


def read(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Feed a stream in pieces cut at the given places."""
    reader, found, start = EventReader(), [], 0
    for cut in [*sorted(c % (len(stream) + 1) for c in cuts), len(stream)]:
        found += reader.feed(stream[start:cut])
        start = cut
    return found + list(reader.end())


@given(
    texts=st.lists(st.text(alphabet=st.characters(codec="utf-8"), max_size=20), max_size=8),
    end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    cuts=st.lists(st.integers(0, 10_000), max_size=12),
)
def test_events_survive_any_cut_and_line_end(texts: list[str], end: bytes, cuts: list[int]) -> None:
    """However the bytes arrive, each event's data is what was sent; comments and other fields are passed over."""
    events = [json.dumps({"t": text}, ensure_ascii=False).encode() for text in texts]
    stream = b"".join(b": ping" + end + b"event: x" + end + b"data: " + e + end + end for e in events)
    assert read(stream, cuts) == events


def test_data_over_several_lines_is_joined() -> None:
    """An event may spread its data over lines; the blank after the colon is optional."""
    assert read(b"data: {\ndata:1}\n\ndata: last", []) == [b"{\n1}", b"last"]


def test_an_endless_event_is_refused() -> None:
    """A server cannot fill our memory with one line."""
    reader = EventReader()
    with pytest.raises(ProviderUnavailable):
        list(reader.feed(b"data: " + b"x" * (MAX_EVENT_BYTES + 1)))
