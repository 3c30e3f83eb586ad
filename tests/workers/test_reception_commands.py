"""Commands and buttons: built in, the bot's own, in people's language, published to the server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from config.sections.texts import COMMANDS, LANGUAGES, TEXT_KEYS
from config.vocabulary import Condition
from tests.waiting import eventually
from tests.workers.lobby import GROUP, Lobby, incoming, made_anew, open_lobby
from workers.channels.base import Lane
from workers.errors import ChannelUnreachable, SendRefused
from workers.llm.base import Completion, CompletionRequest
from workers.reception.buttons import suggestions
from workers.reception.commands import BORN_WITH
from workers.reception.outcomes import Ask, Drop, Say
from workers.reception.texts import BUILT_IN, Texts

pytestmark = pytest.mark.anyio


@pytest.fixture
async def lobby(tmp_path: Path) -> AsyncIterator[Lobby]:
    async with open_lobby(tmp_path) as made:
        yield made


def commands(*tables: dict[str, Any]) -> dict[str, Any]:
    return {"commands": list(tables)}


PRICES = {
    "name": "prices",
    "description": "What it costs",
    "text": "See **the list**.",
    "buttons": ["How much?", "/help"],
}
TRANSLATE = {
    "name": "translate",
    "prompt": "Translate: {args}",
    "descriptions": {"ru": "Перевести"},
    "description": "Translate",
}


async def test_start_and_help_need_no_model(lobby: Lobby) -> None:
    """/start names the bot, /help lists what it understands, its own commands included."""
    lobby.house.spec(**commands(PRICES, TRANSLATE))
    async with lobby.house.running():
        [hello] = await lobby.say(1, "/start")
        [help_] = await lobby.say(1, "/help")
    assert "I am Support" in hello
    assert help_.splitlines()[2:] == [
        "/help: What I understand",
        "/reset: Begin a new conversation",
        "/undo: Take back the last question",
        "/forget: Delete all I know of you",
        "/prices: What it costs",
        "/translate: Translate",
    ]
    assert lobby.asked == []
    assert lobby.house.outcomes() == {"answered": 2}


async def test_reset_begins_anew(lobby: Lobby) -> None:
    """What was said before is not remembered any more, yet kept."""
    async with lobby.house.running():
        await lobby.say(1, "my name is Ann")
        [said] = await lobby.say(1, "/reset")
    assert "begin anew" in said
    assert await lobby.partition.messages.tail("", "1", 10) == []
    assert lobby.house.rows("SELECT count(*) FROM messages") == [(2,)]


async def test_undo_takes_back_one_question(lobby: Lobby) -> None:
    """The last one, with its answer; then the one before; then there is none."""
    async with lobby.house.running():
        await lobby.say(1, "one")
        await lobby.say(1, "two")
        assert await lobby.say(1, "/undo") == ["Taken back: “two”"]
        assert await lobby.say(1, "/undo") == ["Taken back: “one”"]
        assert await lobby.say(1, "/undo") == ["There is nothing to take back."]
    assert await lobby.partition.messages.tail("", "1", 10) == []


async def test_forget_is_confirmed_by_a_button(lobby: Lobby) -> None:
    """Nothing goes before the button is pressed; then everything does."""
    async with lobby.house.running():
        await lobby.say(1, "my secret")
        await lobby.partition.profiles.set("", "1", "name", "Ann", "model", 1)
        await lobby.say(1, "/forget")
        assert lobby.buttons() == [("Delete everything", "forget:1")]
        assert lobby.house.rows("SELECT count(*) FROM messages") == [(2,)]
        assert await lobby.press(1, "Delete everything") == ["Done. I know nothing of you any more."]
    assert lobby.house.rows("SELECT count(*) FROM messages") == [(0,)]
    assert lobby.house.rows("SELECT count(*) FROM profiles") == [(0,)]


async def test_nobody_forgets_somebody_else(lobby: Lobby) -> None:
    """In a group the button is the asker's alone; others are told so, by a note only they see."""
    async with lobby.house.running():
        await lobby.say(GROUP, "@support_bot I am Boris", user_id=7, name="Boris")
        await lobby.say(GROUP, "/forget", user_id=7)
        assert await lobby.press(GROUP, "Delete everything", user_id=8) == []
        assert lobby.bot.notes == ["Only the person who asked may decide this."]
        assert lobby.house.rows("SELECT count(*) FROM messages") == [(2,)]
        assert len(await lobby.press(GROUP, "Delete everything", user_id=7)) == 1
    assert lobby.house.rows("SELECT count(*) FROM messages") == [(0,)]


async def test_model_is_chosen_by_a_button(lobby: Lobby) -> None:
    """Of those the operator offers; the conversation alone is changed; the choice outlives the process."""
    lobby.house.spec(llm={"model": "small", "choices": ["small", "large"]})
    models: list[str] = []
    complete = lobby.house.model.complete

    async def note(request: CompletionRequest) -> Completion:
        models.append(request.model)
        return await complete(request)

    lobby.house.model.complete = note  # type: ignore[method-assign]
    async with lobby.house.running():
        [said] = await lobby.say(1, "/model")
        assert "small" in said
        assert [words for words, _ in lobby.buttons()] == ["small", "large"]
        assert await lobby.press(1, "large") == ["From now on large answers here."]
        await lobby.say(1, "hello")
        await lobby.say(2, "hello")
        assert await lobby.say(1, "/model tiny") == ["There is no such model to choose."]
    async with lobby.house.running() as worker:
        await lobby.say(1, "again")
        worker.apply(lobby.house.spec(llm={"choices": ["small"]}))
        await lobby.say(1, "withdrawn")
    assert models == ["large", "small", "large", "small"]


async def test_model_is_no_command_without_a_choice(lobby: Lobby) -> None:
    """Nothing is offered, /model is as unknown as any other word."""
    async with lobby.house.running():
        [said] = await lobby.say(1, "/model")
    assert said == "I do not know /model. /help says what I understand."


async def test_own_commands_say_or_ask(lobby: Lobby) -> None:
    """A static text with its buttons, or a prompt filled with what follows the command."""
    lobby.house.spec(**commands(PRICES, TRANSLATE))
    async with lobby.house.running():
        [said] = await lobby.say(1, "/prices")
        assert "the list" in said
        assert [words for words, _ in lobby.buttons()] == ["How much?", "/help"]
        assert await lobby.say(1, "/translate guten Tag") == ["re Translate: guten Tag"]
        assert await lobby.press(1, "How much?") == ["re How much?"]
        [help_] = await lobby.press(1, "/help")
        assert "/prices" in help_
    assert lobby.asked == ["Translate: guten Tag", "How much?"]


async def test_own_commands_replace_those_built_in(lobby: Lobby) -> None:
    """An operator's /start is the operator's."""
    lobby.house.spec(**commands({"name": "start", "text": "Ahoy {args}!", "replace": True}))
    async with lobby.house.running():
        assert await lobby.say(1, "/start captain") == ["Ahoy captain!"]


async def test_a_suggestion_is_said_as_the_person(lobby: Lobby) -> None:
    """Its words are found on the button; in groups with the name of whoever pressed."""
    lobby.house.spec(**commands({"name": "ask", "text": "Well?", "buttons": ["x" * 64]}))
    async with lobby.house.running():
        await lobby.say(GROUP, "/ask", user_id=7)
        assert await lobby.press(GROUP, "x" * 64, user_id=8) == [f"re Anna: {'x' * 64}"]
    assert lobby.bot.notes == [""]
    assert not lobby.bot.open_callbacks


async def test_a_button_that_is_out_of_date_is_answered_all_the_same(lobby: Lobby) -> None:
    """The message is gone, or the data means nothing: the press is answered with a note, and nothing else happens."""
    async with lobby.house.running():
        lobby.bot.press(1, 4711, "say:0")
        lobby.bot.press(1, 4711, "whatever", language="ru")
        await eventually(lambda: lobby.bot.notes == ["This button is out of date.", "Эта кнопка устарела."])
        await lobby.settled()
    assert lobby.house.outcomes() == {"ignored": 2}
    assert lobby.sent() == []


async def test_a_press_the_server_no_longer_wants_answered_harms_nobody(lobby: Lobby) -> None:
    """The query is too old, or the server is away: what the button means is done."""
    lobby.house.spec(**commands(PRICES))
    async with lobby.house.running():
        await lobby.say(1, "/prices")
        lobby.bot.faults.fail("answerCallbackQuery", "bad_request")
        assert await lobby.press(1, "How much?") == ["re How much?"]


async def test_texts_follow_the_persons_language(lobby: Lobby) -> None:
    """Russian for who speaks it, English for everybody else; the operator's own come first."""
    lobby.house.spec(texts={"ru": {"start": "Привет от {bot}"}, "en": {"reset_done": "Fine."}}, name="Shop")
    async with lobby.house.running():
        assert await lobby.say(1, "/start", language="ru") == ["Привет от Shop"]
        assert await lobby.say(1, "/reset", language="ru-RU") == [BUILT_IN["ru"]["reset_done"]]
        assert await lobby.say(1, "/reset", language="de") == ["Fine."]
        [help_] = await lobby.say(1, "/help", language="ru")
    assert "/reset: Начать новый разговор" in help_


async def test_every_text_is_there_in_every_language() -> None:
    """The names in the configuration are those of the texts, and what is filled in is filled in everywhere."""
    for language in LANGUAGES:
        assert tuple(BUILT_IN[language]) == TEXT_KEYS
    for key in TEXT_KEYS:
        holes = [sorted(set(_holes(BUILT_IN[language][key]))) for language in LANGUAGES]
        assert holes.count(holes[0]) == len(holes), key
    assert BORN_WITH == COMMANDS
    assert Texts({}).say("undo_done", "xx", text="{bot}") == "Taken back: “{bot}”"


def _holes(text: str) -> list[str]:
    return [part.partition("}")[0] for part in text.split("{")[1:]]


# --- the menu at the server ----------------------------------------------------------------------------------------


async def published(lobby: Lobby, calls: int) -> dict[str, list[str]]:
    """The names at the server, by language, once it was told so many times."""
    await eventually(lambda: lobby.bot.calls["setMyCommands"] + lobby.bot.calls["deleteMyCommands"] == calls)
    await eventually(lambda: lobby.house.store.pending == 0)
    return {
        scope.partition(":")[2]: [command["command"] for command in listed]
        for scope, listed in lobby.bot.told.commands.items()
    }


BORN = ["help", "reset", "undo", "forget"]


async def test_the_menu_is_published_once(lobby: Lobby) -> None:
    """For everybody and in Russian; a restart does not publish it again, a change does, of that language alone."""
    lobby.house.spec(**commands(TRANSLATE))
    async with lobby.house.running():
        assert await published(lobby, 2) == {"": [*BORN, "translate"], "ru": [*BORN, "translate"]}
        about = {c["command"]: c["description"] for c in lobby.bot.told.commands["default:ru"]}
        assert (about["translate"], about["help"]) == ("Перевести", "Что я понимаю")
    async with lobby.house.running() as worker:
        await lobby.say(1, "hello")
        await lobby.house.rest()
        assert lobby.bot.calls["setMyCommands"] == 2
        worker.apply(lobby.house.spec(**commands({**TRANSLATE, "description": "Put into English"})))
        await published(lobby, 3)


async def test_lists_that_are_no_more_are_deleted(lobby: Lobby) -> None:
    """A language in which nothing reads differently any more has no list of its own."""
    lobby.house.spec(**commands({**TRANSLATE, "descriptions": {"de": "Übersetzen"}}))
    async with lobby.house.running() as worker:
        assert set(await published(lobby, 3)) == {"", "de", "ru"}
        worker.apply(lobby.house.spec(**commands(PRICES)))
        assert set(await published(lobby, 6)) == {"", "ru"}
    assert lobby.bot.calls["deleteMyCommands"] == 1


async def test_a_server_that_does_not_take_the_menu_is_asked_again_gently(lobby: Lobby) -> None:
    """No condition, no error anybody sees: after half a minute or so, then less and less often."""
    lobby.bot.faults.fail("setMyCommands", "server_error", 2)
    async with lobby.house.running():
        assert await lobby.say(1, "hello") == ["re hello"]
        await eventually(lambda: lobby.bot.calls["setMyCommands"] == 1)
        assert lobby.house.conditions.get(Condition.POLLING) is True
        await lobby.house.in_time(lambda: lobby.bot.calls["setMyCommands"] == 2, 5)
        await lobby.house.in_time(lambda: set(lobby.bot.told.commands) == {"default:", "default:ru"}, 5)


async def test_another_bot_behind_the_same_rows_publishes_anew(lobby: Lobby) -> None:
    """Rows brought from elsewhere say what another bot's server was told."""
    async with lobby.house.running():
        await published(lobby, 2)
    noted = json.loads(await lobby.partition.marks.get("commands"))
    assert noted["bot"] == lobby.bot.id
    await lobby.partition.marks.put("commands", json.dumps({**noted, "bot": 1}), 1)
    async with lobby.house.running():
        await published(lobby, 4)


# --- done twice ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ChannelUnreachable("away"), SendRefused("no")])
async def test_the_menu_of_a_channel_that_refuses(lobby: Lobby, error: Exception) -> None:
    """A channel whose server refuses the list for good is not asked again for the same one."""
    reception, channel = made_anew(lobby.house, channel="none")
    channel.fail("publish", error, times=None)  # type: ignore[arg-type]
    from anyio import create_task_group

    from workers.channels.base import Identity
    from workers.reception.menu import Menu

    async with create_task_group() as group:
        menu = Menu(group, channel, lobby.partition, lobby.house.services, Identity(77, "support_bot"))
        menu.show(reception.commands)
        await eventually(lambda: channel.calls["publish"] == 1)
        if isinstance(error, ChannelUnreachable):
            await eventually(lambda: lobby.house.clock.waiting)
            await lobby.house.advance(100)
            await eventually(lambda: channel.calls["publish"] > 1)
        else:
            await lobby.house.advance(100)
            assert channel.calls["publish"] == 1
        group.cancel_scope.cancel()


async def test_commands_done_twice_change_nothing_twice(lobby: Lobby) -> None:
    """The process ended after the deed and before the record: the update comes again to a new one."""
    house = lobby.house
    async with house.running():
        for text in ("one", "two", "three"):
            await lobby.say(1, text)
    first, second = made_anew(house, channel="none")[0], made_anew(house, channel="none")[0]
    undo = incoming("/undo", command="undo", update_id=50)
    assert isinstance(said := await first.receive(undo), Say)
    assert "three" in said.text
    await second.receive(undo)
    assert [m.content for m in await house.partition.messages.tail("", "1", 10)] == ["one", "re one", "two", "re two"]
    press = incoming("Delete everything", kind="callback", callback_id="1", callback_data="forget:1", update_id=51)
    assert await first.receive(press) == await second.receive(press)
    assert house.rows("SELECT count(*) FROM messages") == [(0,)]
    reset = incoming("/reset", command="reset", update_id=52)
    assert await first.receive(reset) == await second.receive(reset)


async def test_late_messages_expire_and_late_commands_too(lobby: Lobby) -> None:
    """What waited too long is not done any more; who is not meant to be answered gets no apology."""
    reception, _ = made_anew(lobby.house, channel="none", access={"block": [2]})
    assert await reception.receive(incoming("/reset", command="reset"), late=True) == Drop("expired")
    blocked = await reception.receive(incoming("hi", user_id=2, lane=Lane(2)), late=True)
    assert isinstance(blocked, Drop)
    assert blocked.outcome == "denied"
    group = incoming("hi all", lane=Lane(-1), chat_type="supergroup")
    assert await reception.receive(group, late=True) == Drop("ignored", "not meant for the bot")
    assert isinstance(await reception.receive(incoming("hi")), Ask)


def test_suggestions_fit_the_servers_limit() -> None:
    """Whatever stands on them, what they carry is at most 64 bytes; empty ones are left out."""
    made = suggestions(["x" * 500, " ", "Что это? 😀" * 20, *map(str, range(50))])
    assert len(made) == 20
    assert all(len(data.encode()) <= 64 for _, data in made)
    assert len({data for _, data in made}) == 20
