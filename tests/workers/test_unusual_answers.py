"""Answers of servers that are right in form and absurd in content: what can be had of them is had."""

from __future__ import annotations

import json

import pytest

from store.texts import storable
from workers.channels.faults import Garbage, result_of
from workers.llm.completions import read_whole
from workers.llm.reading import LONGEST_WORD
from workers.llm.refusals import Refusals

GOOD = b'{"update_id":2,"message":{"text":"good"}}'


@pytest.mark.parametrize(
    "bad",
    [
        b'{"update_id":1,"message":{"text":"\xff\xfe"}}',
        b'{"update_id":1,"message":{"date":' + b"9" * 5000 + b"}}",
        b'{"update_id":1,"message":{"date":-' + b"9" * 5000 + b"}}",
    ],
    ids=["no UTF-8", "a number too long", "a negative one"],
)
def test_one_spoiled_update_does_not_hold_up_its_batch(bad: bytes) -> None:
    """The others of the batch are read; the spoiled one keeps its number, so that the stream goes on."""
    batch = result_of(200, b'{"ok":true,"result":[' + bad + b"," + GOOD + b"]}")
    assert [update["update_id"] for update in batch] == [1, 2]
    assert batch[1]["message"]["text"] == "good"
    json.dumps(batch)


@pytest.mark.parametrize("payload", [b"\xff", b"{", b"[" * 100_000, b'{"ok":true}', b"null", b""])
def test_what_is_no_answer_stays_none(payload: bytes) -> None:
    """Lenience ends where nothing can be made out."""
    with pytest.raises(Garbage):
        result_of(200, payload)


def test_a_servers_names_are_bounded_and_can_be_stored() -> None:
    """A model's name of a hundred thousand characters, half of one among them, is stored with no turn."""
    choice = {"message": {"content": "hi"}, "finish_reason": "\ud83d" + "s" * 100_000}
    answer = {"model": "m" * 100_000 + "\ud83d", "choices": [choice], "usage": {}}
    read = read_whole(json.dumps(answer).encode(), "asked", Refusals("key", ""))
    assert read.model == "m" * LONGEST_WORD
    assert len(read.finish_reason) == LONGEST_WORD
    assert storable(read.finish_reason) == read.finish_reason
