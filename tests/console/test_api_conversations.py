"""Conversations over HTTP: listed and paged, read, searched, begun anew, taken back; never another client's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from console.control import EventQuery
from tests.console.api_rig import Api, serving

pytestmark = pytest.mark.anyio

HERE = "/v1/bots/echo"


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f", anonymous="admin") as running:
        yield running


async def say(api: Api, text: str, conversation_id: str, client_id: str = "acme") -> None:
    body = {"message": text, "conversation_id": conversation_id, "client_id": client_id}
    assert (await api.ask("POST", f"{HERE}/chat", json=body)).status == 200


async def every_page(api: Api, path: str, key: str = "") -> list[list[Any]]:
    """Follow the Link headers from a path on; return the pages."""
    pages = []
    while path:
        answer = await api.ask("GET", path, key=key)
        assert answer.status == 200
        pages.append(answer.body)
        link = answer.headers.get("link", "")
        path = link.partition(">")[0].removeprefix("<")
    return pages


async def test_pages_neither_repeat_nor_miss(api: Api) -> None:
    """Last spoken in first, also where many were spoken in at one moment; the last page names no other."""
    for number in range(7):
        await say(api, f"hello {number}", f"c{number}", "acme" if number % 2 else "globex")
    await api.fleet.store.partition("echo").conversations.reset("acme", "c1", api.fleet.store.stats.pending)
    pages = await every_page(api, f"{HERE}/conversations?limit=3")
    assert [len(page) for page in pages] == [3, 3, 1]
    found = [row["conversation_id"] for page in pages for row in page]
    assert sorted(found) == [f"c{number}" for number in range(7)]
    of_client = await every_page(api, f"{HERE}/conversations?limit=2&client_id=globex")
    assert sorted(row["conversation_id"] for page in of_client for row in page) == ["c0", "c2", "c4", "c6"]


async def test_each_answer_says_what_it_took(api: Api) -> None:
    """A question of a program has no update: its own tokens, and not those of another client's conversation of that id."""
    for words in ("one", "one two", "one two three"):
        await say(api, words, "c")
        await say(api, f"{words} and more", "c", "globex")
    for client, more in (("acme", 0), ("globex", 2)):
        said = await api.ask("GET", f"{HERE}/conversations/c/messages?client_id={client}")
        assert [(row["model"], row["tokens_out"]) for row in said.body[1::2]] == [("echo", n + more) for n in (1, 2, 3)]
        assert [(row["model"], row["tokens_in"], row["tokens_out"]) for row in said.body[::2]] == [("", 0, 0)] * 3


async def test_conversations_of_one_moment_are_paged_by_their_ids(api: Api) -> None:
    """A whole second of them at once: the order of their ids goes on where the page ended."""
    for number in range(5):
        await say(api, "hello", f"c{number}")
    writer = api.fleet.store._writer
    await writer.write(lambda c: c.execute("UPDATE conversations SET updated_ms = 1000").rowcount)
    pages = await every_page(api, f"{HERE}/conversations?limit=2")
    assert [row["conversation_id"] for page in pages for row in page] == ["c0", "c1", "c2", "c3", "c4"]


async def test_messages_are_paged_back_and_searched(api: Api) -> None:
    """Oldest first within a page, the newest page first, each message once."""
    for number in range(5):
        await say(api, f"line {number}", "c")
    pages = await every_page(api, f"{HERE}/conversations/c/messages?client_id=acme&limit=4")
    said = [message["seq"] for page in reversed(pages) for message in page]
    assert said == list(range(1, 11))
    found = await api.ask("GET", f"{HERE}/conversations/c/messages?client_id=acme&search=line 3")
    assert [message["text"] for message in found.body] == ["line 3", "line 3"]
    listed = await api.ask("GET", f"{HERE}/conversations?search=line 4")
    assert [row["conversation_id"] for row in listed.body] == ["c"]


PRINTABLE: list[str] = ["a/b", "messages", "a b?c=d&e#f", "привет", "%2F", "."]


async def test_an_id_may_be_anything_printable(api: Api) -> None:
    """Percent-encoded in the path, it is found, taken back and begun anew."""
    for conversation_id in PRINTABLE:
        await say(api, "hello", conversation_id)
        path = f"{HERE}/conversations/{quote(conversation_id, safe='') if conversation_id != '.' else '%2E'}"
        from yarl import URL

        for method, more, expected in (
            ("GET", "", None), ("GET", "/messages", None), ("POST", "/undo", {"undone": True}), ("DELETE", "", {"cleared": False}),
        ):  # fmt: skip
            url = URL(f"{api.url}{path}{more}?client_id=acme", encoded=True)
            async with api.session.request(method, url) as answer:
                assert answer.status == 200, (method, more, await answer.text())
                assert expected is None or await answer.json() == expected


async def test_clear_and_undo(api: Api) -> None:
    """The last question and its answer go; begun anew, what was said is kept to be read and not remembered.

    What was done is written down, what there was nothing to do for is not.
    """
    await say(api, "first", "c")
    await say(api, "second", "c")
    path = f"{HERE}/conversations/c"
    assert (await api.ask("POST", f"{path}/undo?client_id=acme")).body == {"undone": True}
    left = await api.ask("GET", f"{path}/messages?client_id=acme")
    assert {message["text"] for message in left.body} == {"first"}
    assert (await api.ask("DELETE", f"{path}?client_id=acme")).body == {"cleared": True}
    assert (await api.ask("POST", f"{path}/undo?client_id=acme")).body == {"undone": False}
    assert len((await api.ask("GET", f"{path}/messages?client_id=acme")).body) == 2
    acted = await api.fleet.control.events(EventQuery(("echo",), kinds=("OperatorActed",)))
    assert [(line["data"]["action"], line["data"]["reason"]) for line in acted] == [
        ("undo", "conversation c"), ("clear", "conversation c"),
    ]  # fmt: skip
    assert {line["actor"] for line in acted} == {"anonymous"}


async def test_what_is_not_there_is_404(api: Api) -> None:
    """The conversation by its class; the bot by its own."""
    for path in ("/conversations/none", "/conversations/none/messages"):
        answer = await api.ask("GET", f"{HERE}{path}")
        assert (answer.status, answer.body["error"]) == (404, "ConversationNotFoundError")
    for path in ("/conversations", "/conversations/c", "/usage", "/logs", "/events"):
        answer = await api.ask("GET", f"/v1/bots/nobody{path}")
        assert (answer.status, answer.body["error"]) == (404, "BotNotFoundError")


CURSORS: list[str] = [
    "x",
    "🦊",
    "bnVsbA",
    "WzFd",
    "W10",
    "WzFlOTk5LCJhIiwiYiJd",
    "e30",
    "A" * 2000,
]


async def test_a_cursor_that_is_none_of_ours_is_refused(api: Api) -> None:
    """Never a 500."""
    for cursor in CURSORS:
        for path in (f"{HERE}/conversations", f"{HERE}/conversations/c/messages", "/v1/bots"):
            answer = await api.ask("GET", path, params={"cursor": cursor})
            assert answer.status in {404, 422}


async def test_a_key_of_a_client_sees_its_own_only(api: Api) -> None:
    """The same id with two clients is two conversations; lists, messages, usage and changes reach one's own."""
    await say(api, "of acme", "same", "acme")
    await say(api, "of globex", "same", "globex")
    key = await api.key("operate", "acme")
    [row] = (await api.ask("GET", f"{HERE}/conversations", key=key)).body
    assert (row["client_id"], row["last_text"]) == ("acme", "of acme")
    assert (await api.ask("GET", f"{HERE}/conversations?search=globex", key=key)).body == []
    own = await api.ask("GET", f"{HERE}/conversations/same/messages", key=key)
    assert {message["text"] for message in own.body} == {"of acme"}
    for method, path in (
        ("GET", "/conversations?client_id=globex"),
        ("GET", "/conversations/same?client_id=globex"),
        ("GET", "/conversations/same/messages?client_id=globex"),
        ("GET", "/messages?client_id=globex&conversation_id=same"),
        ("DELETE", "/conversations/same?client_id=globex"),
        ("POST", "/conversations/same/undo?client_id=globex"),
        ("GET", "/usage?client_id=globex"),
    ):
        assert (await api.ask(method, f"{HERE}{path}", key=key)).status == 403
    assert (await api.ask("DELETE", f"{HERE}/conversations/same", key=key)).body == {"cleared": True}
    whole = await api.ask("GET", f"{HERE}/usage?by=chat")
    assert whole.body[0]["calls"] == 2
    assert (await api.ask("GET", f"{HERE}/usage?by=chat", key=key)).body[0]["calls"] == 1
