"""Conversations through every Control: listed, searched, read, and led by the operator; and paging back in what was written."""

from __future__ import annotations

import pytest

from config.vocabulary import Phase
from console.control import Action, Control, EventQuery, LogQuery
from console.errors import BadRequest
from console.runtime import Fleet
from console.sandbox.server import Sandbox
from tests.console.talking import talk
from workers.errors import NoSuchBot, WrongPhase

pytestmark = pytest.mark.anyio


async def test_conversations_are_listed_last_spoken_in_first(control: Control, double: Sandbox) -> None:
    """Who was spoken with last stands first; each says how long it is and how it ended; older ones are paged."""
    for chat in (501, 502, 503):
        await talk(double, "alpha_bot", f"hello from {chat}", chat)
    await talk(double, "alpha_bot", "again", 501)
    rows = await control.conversations("alpha")
    assert [row["turns"] for row in rows] == [2, 1, 1]
    assert [row["messages"] for row in rows] == [4, 2, 2]
    assert (rows[0]["last_role"], rows[0]["last_text"], rows[0]["operator"]) == ("assistant", "again", False)
    assert rows[0]["channel"] == "telegram"
    assert rows[0]["created_at"] <= rows[0]["updated_at"]
    [first] = await control.conversations("alpha", limit=1)
    assert first == rows[0]
    older = await control.conversations("alpha", before=first["updated_at"])
    assert [row["conversation_id"] for row in older] == [row["conversation_id"] for row in rows[1:]]


async def test_bots_do_not_see_each_others_conversations(control: Control, double: Sandbox) -> None:
    """The same person with two bots has two conversations, and neither holds a word of the other."""
    await talk(double, "alpha_bot", "for alpha only")
    await talk(double, "beta_bot", "for beta only")
    [row] = await control.conversations("beta")
    said = await control.messages("beta", row["client_id"], row["conversation_id"])
    assert {message["text"] for message in said} == {"for beta only"}
    assert await control.conversations("beta", search="alpha") == []
    with pytest.raises(NoSuchBot):
        await control.conversations("nobody")
    with pytest.raises(NoSuchBot):
        await control.messages("nobody", row["client_id"], row["conversation_id"])


@pytest.mark.parametrize(
    ("search", "found"),
    [("100%", ["100% sure"]), ("a_b", ["a_b"]), ("it's \"so\"", ["it's \"so\""]), ("\\", ["back\\slash"]), ("SURE", ["1000 sure", "100% sure"]), ("%%", [])],
)  # fmt: skip
async def test_search_takes_every_sign_as_it_is(
    control: Control, double: Sandbox, search: str, found: list[str]
) -> None:
    """%, _, quotes and backslashes stand for themselves; the case of letters does not matter."""
    for chat, text in enumerate(("100% sure", "1000 sure", "a_b", "axb", 'it\'s "so"', "back\\slash"), 501):
        await talk(double, "alpha_bot", text, chat)
    rows = await control.conversations("alpha", search=search)
    assert [row["last_text"] for row in rows] == found
    for row in rows:
        said = await control.messages("alpha", row["client_id"], row["conversation_id"], search=search)
        assert {message["text"] for message in said} == {row["last_text"]}


async def test_messages_are_paged_back(control: Control, double: Sandbox) -> None:
    """Oldest first, the newest page first, each message once, with what the answer took."""
    for number in range(5):
        await talk(double, "alpha_bot", f"line {number}")
    [row] = await control.conversations("alpha")
    key = ("alpha", row["client_id"], row["conversation_id"])
    pages = [await control.messages(*key, limit=4)]
    while pages[-1] and pages[-1][0]["seq"] > 1:
        pages.append(await control.messages(*key, limit=4, before_seq=pages[-1][0]["seq"]))
    said = [message for page in reversed(pages) for message in page]
    assert [message["seq"] for message in said] == list(range(1, 11))
    assert [message["text"] for message in said] == [f"line {n}" for n in range(5) for _ in range(2)]
    assert [message["role"] for message in said[:2]] == ["user", "assistant"]
    asked, answered = said[:2]
    assert (asked["tokens_in"], asked["tokens_out"]) == (0, 0)
    assert answered["tokens_in"] > 0
    assert answered["tokens_out"] > 0
    assert asked["update_id"] == answered["update_id"]


async def test_the_operator_talks_to_a_bot(control: Control, fleet: Fleet, double: Sandbox) -> None:
    """A turn by the bot's configuration: remembered in a marked conversation, its tokens counted, nothing sent anywhere."""
    bot = double.find_bot("alpha_bot")
    assert bot is not None
    said = await control.say("alpha", "are you there?", session="s1", actor="test:ana")
    assert (said["text"], said["error"], said["provider"]) == ("are you there?", "", "echo")
    assert said["tokens_in"] > 0
    assert said["latency_s"] >= 0
    await control.say("alpha", "and now?", session="s1", actor="test:ana")
    await control.say("alpha", "elsewhere", session="s2", actor="test:ana")
    rows = {row["conversation_id"]: row for row in await control.conversations("alpha")}
    assert {name: (row["operator"], row["turns"], row["user_id"]) for name, row in rows.items()} == {
        "operator:s1": (True, 2, "test:ana"),
        "operator:s2": (True, 1, "test:ana"),
    }
    spent = {total["provider"]: total["calls"] for total in (await control.bot("alpha"))["usage"]}
    assert spent == {"echo": 3}
    assert fleet.metrics.figures.today("alpha")[0] >= said["tokens_in"] + said["tokens_out"]
    assert bot.sent == []


async def test_the_operator_can_ask_a_stopped_bot(control: Control) -> None:
    """It is the configuration that answers: the bot need not run."""
    await control.steer(Action.STOP, ["alpha"], actor="test")
    await control.wait(["alpha"], [Phase.STOPPED], timeout_s=20)
    assert (await control.say("alpha", "hello", session="s", actor="t"))["text"] == "hello"


async def test_what_cannot_be_said_is_refused(control: Control) -> None:
    """A bot without a good file, nothing to say, too much of it, no session, no such bot."""
    with pytest.raises(WrongPhase, match="gamma"):
        await control.say("gamma", "hello", session="s", actor="t")
    for text, session in ((" ", "s"), ("x" * 70_000, "s"), ("x", ""), ("x", "s" * 65)):
        with pytest.raises(BadRequest):
            await control.say("alpha", text, session=session, actor="t")
    with pytest.raises(NoSuchBot):
        await control.say("nobody", "hello", session="s", actor="t")


async def test_a_model_without_an_answer_is_said_and_not_remembered(control: Control, fleet: Fleet) -> None:
    """The error is told to the operator; no half conversation is left."""
    path = fleet.place.root / "bots" / "alpha.toml"
    url = "http://127.0.0.1:9"
    path.write_text(
        path.read_text().replace('"echo"', f'"openai"\nmodel = "m"\napi_key = "k-123456"\nbase_url = "{url}"')
    )
    await control.reload(actor="test")
    said = await control.say("alpha", "hello", session="s", actor="t")
    assert said["error"]
    assert "k-123456" not in said["error"]
    assert said["tokens_in"] == 0
    assert await control.conversations("alpha") == []


async def test_logs_are_paged_back(control: Control, fleet: Fleet) -> None:
    """`before` gives what is older than a moment, the newest of that first in the page: no line twice, none left out."""
    moment = fleet.clock.now() + 10
    rows = [("alpha", int((moment + number) * 1000), 20, "workers.test", f"line {number}", "") for number in range(9)]
    await fleet.store.append_logs(rows)
    query = LogQuery(("alpha",), tail=4, pattern="^line", before=moment + 50)
    seen: list[str] = []
    while page := await control.logs(query):
        seen = [line["text"] for line in page] + seen
        query = LogQuery(("alpha",), tail=4, pattern="^line", before=page[0]["at"])
    assert seen == [f"line {number}" for number in range(9)]


async def test_events_are_paged_back(control: Control) -> None:
    """`before` gives the newest of what is older than a moment."""
    for number in range(5):
        await control.steer(Action.PAUSE if number % 2 == 0 else Action.RESUME, ["alpha"], actor=f"t{number}")
    kinds = ("OperatorActed",)
    every = await control.events(EventQuery(("alpha",), kinds=kinds))
    assert [event["actor"] for event in every] == [f"t{number}" for number in range(5)]
    older = await control.events(EventQuery(("alpha",), tail=2, kinds=kinds, before=every[3]["at"]))
    assert older == [event for event in every if event["at"] < every[3]["at"]][-2:]
