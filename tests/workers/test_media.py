"""Pictures, voices and documents on their way to a model that understands them, and to one that does not."""

from __future__ import annotations

import io
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import docx
import pytest

from console.sandbox.files import document, photo, recording
from tests.waiting import eventually
from tests.workers.counter_rig import CHAT, GROUP, Counter, counter

pytestmark = pytest.mark.anyio

JPEG = b"\xff\xd8\xff" + b"picture" * 10
SMALL = b"\xff\xd8\xff" + b"small"
SEES = {"llm": {"images": True}}
HEARS = {"model": "whisper", "api_key": "sk-voice-secret", "language": "en"}
NOT_TAKEN = "I cannot take this kind of message. Please write to me."
TOO_LARGE = "This is too large for me. Please send something smaller."
UNREADABLE = "I could not read this file. Please send it as text, or try again."
UNHEARD = "I could not understand this voice message. Please write to me, or try again."


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Counter]:
    async with counter(tmp_path) as made:
        yield made


def voice(desk: Counter, **more: Any) -> dict[str, Any]:
    """A [voice] section for the model double."""
    return {"voice": {**HEARS, "base_url": desk.sandbox.model_url, **more}}


def word(text: str) -> bytes:
    """A Word document."""
    made, file = docx.Document(), io.BytesIO()
    made.add_paragraph(text)
    made.save(file)
    return file.getvalue()


def pdf(text: str) -> bytes:
    """A PDF of one page."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 200]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    body, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return body + b"xref\n0 6\n0000000000 65535 f \n%strailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        table,
        len(body),
    )


async def test_a_picture_reaches_a_model_that_sees_with_its_caption(desk: Counter) -> None:
    """The largest size that fits goes along; the words beside it are the question."""
    async with desk.open(**SEES, media={"max_image_bytes": len(JPEG)}):
        desk.bot.say(CHAT, "what is this?", more=photo(desk.bot, SMALL, JPEG, JPEG * 2))
        assert "what is this?" in await desk.answer()
    assert desk.model.calls[0].images == [("image/jpeg", JPEG)]
    assert desk.rows("SELECT content FROM messages WHERE role = 'user'") == [("[picture]\n\nwhat is this?",)]


async def test_a_picture_without_words_is_a_question_too(desk: Counter) -> None:
    """Where the model sees it."""
    async with desk.open(**SEES):
        desk.bot.say(CHAT, "", more=photo(desk.bot, JPEG))
        await desk.answer()
    assert desk.model.calls[0].images == [("image/jpeg", JPEG)]


@pytest.mark.parametrize("language", ["en", "ru"])
async def test_what_a_bot_cannot_take_gets_a_polite_reply_in_its_persons_language(desk: Counter, language: str) -> None:
    """Nobody asks the model, and nothing is fetched."""
    async with desk.open():
        for more in (
            photo(desk.bot, JPEG),
            recording(desk.bot, b"hello"),
            recording(desk.bot, b"film", "video"),
            recording(desk.bot, b"RIFF", "sticker"),
            document(desk.bot, b"MZ", "run.exe"),
        ):
            desk.bot.say(CHAT, "", more=more, language=language)
        said = await desk.answers(5)
    assert set(said) == {
        NOT_TAKEN if language == "en" else "Такие сообщения я не принимаю. Напишите, пожалуйста, словами."
    }
    assert desk.model.call_count == desk.bot.calls["getFile"] == 0
    assert desk.outcomes() == ["answered"] * 5


async def test_a_bot_may_say_it_in_its_own_words(desk: Counter) -> None:
    """Every text can be overridden."""
    async with desk.open(texts={"en": {"unsupported_media": "Words only, friend."}}):
        desk.bot.say(CHAT, "", more=photo(desk.bot, JPEG))
        assert await desk.answer() == "Words only, friend."


async def test_with_words_beside_it_the_model_is_told_of_what_it_cannot_see(desk: Counter) -> None:
    """It answers the words, and need not pretend."""
    async with desk.open():
        desk.bot.say(CHAT, "nice, is it?", more=photo(desk.bot, JPEG))
        await desk.answer()
    assert desk.model.calls[0].question == "[photo: of a kind you cannot see]\n\nnice, is it?"
    assert desk.model.calls[0].images == []


async def test_what_is_too_large_is_not_fetched_and_a_lie_about_it_is_noticed(desk: Counter) -> None:
    """By what the server declares, and by what comes."""
    async with desk.open(**SEES, media={"max_image_bytes": 100, "max_document_bytes": 100}):
        desk.bot.say(CHAT, "", more=photo(desk.bot, JPEG, size=101))
        desk.bot.say(CHAT, "", more=document(desk.bot, b"a" * 101, "a.txt"))
        assert await desk.answers(2) == [TOO_LARGE, TOO_LARGE]
        assert desk.bot.calls["getFile"] == 0
        desk.bot.say(CHAT, "", more=document(desk.bot, b"a" * 500, "a.txt", size=5))
        assert (await desk.answers(3))[2] == UNREADABLE
    assert desk.model.call_count == 0


async def test_an_album_is_one_question_also_when_it_comes_in_two_polls(desk: Counter) -> None:
    """All pictures go along with what was written beside one of them, and one answer comes."""
    other = b"\x89PNG\r\n\x1a\n" + b"second"
    async with desk.open(**SEES):
        desk.bot.say(CHAT, "which is better?", more=photo(desk.bot, JPEG, album="7"))
        await eventually(lambda: len(desk.rows("SELECT 1 FROM updates")) == 1)
        desk.bot.say(CHAT, "", more=photo(desk.bot, other, album="7"))
        desk.bot.say(CHAT, "and now?")
        await desk.answers(2)
    assert desk.model.calls[0].images == [("image/jpeg", JPEG), ("image/png", other)]
    assert "which is better?" in desk.model.calls[0].question
    assert desk.model.calls[1].question == "and now?"
    assert (desk.outcomes(), desk.model.call_count) == (["answered"] * 3, 2)


async def test_an_album_begun_before_a_crash_is_still_one_question(desk: Counter) -> None:
    """The worker ends while it waits for the rest: the next one finds all of it."""
    desk.bot.say(CHAT, "which?", more=photo(desk.bot, JPEG, album="7"))
    async with desk.open(**SEES):
        await eventually(lambda: len(desk.rows("SELECT 1 FROM updates")) == 1)
    assert desk.outcomes() == [None]
    desk.bot.say(CHAT, "", more=photo(desk.bot, SMALL, album="7"))
    async with desk.open(**SEES):
        await desk.answer()
    assert len(desk.model.calls[0].images) == 2
    assert desk.model.call_count == 1


async def test_an_album_sent_to_a_bot_that_sees_nothing_is_refused_once(desk: Counter) -> None:
    """Ten pictures are no ten replies."""
    async with desk.open():
        for _ in range(3):
            desk.bot.say(CHAT, "", more=photo(desk.bot, JPEG, album="7"))
        assert await desk.answer() == NOT_TAKEN
    assert desk.outcomes() == ["answered"] * 3


async def test_in_a_group_a_picture_says_who_sent_it(desk: Counter) -> None:
    """And one that is not meant for the bot is left alone."""
    async with desk.open(**SEES):
        desk.bot.say(GROUP, "", more=photo(desk.bot, JPEG), user_id=9, name="Boris")
        desk.bot.say(GROUP, f"@{desk.bot.username} what?", more=photo(desk.bot, JPEG), user_id=9, name="Boris")
        await desk.answer(GROUP)
    assert desk.model.calls[0].question.strip() == "Boris: [picture]\n\nwhat?"
    assert desk.outcomes() == ["ignored", "answered"]


async def test_what_is_said_is_what_is_asked(desk: Counter) -> None:
    """The transcript is the question, remembered as such; what was counted for it is in the usage."""
    async with desk.open(**voice(desk)):
        desk.bot.say(CHAT, "", more=recording(desk.bot, b"what is the time"))
        assert await desk.answer() == "what is the time"
    (heard,) = desk.model.hearing.calls
    assert (heard.model, heard.language, heard.data) == ("whisper", "en", b"what is the time")
    assert heard.authorization == "Bearer sk-voice-secret"
    assert sorted(desk.rows("SELECT provider, model FROM usage")) == [("openai", "m"), ("voice", "whisper")]


async def test_a_recording_that_lasts_too_long_is_not_fetched(desk: Counter) -> None:
    """By what the server declares."""
    async with desk.open(**voice(desk, max_s=60)):
        desk.bot.say(CHAT, "", more=recording(desk.bot, b"words", duration=61))
        assert await desk.answer() == TOO_LARGE
    assert desk.bot.calls["getFile"] == 0


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("server_error", {}),
        ("unauthorized", {"description": "Incorrect API key provided: sk-voice-secret"}),
        ("flood", {}),
        ("garbage", {}),
        ("reset", {}),
        ("hang", {}),
        ("slow", {"delay_s": 30}),
    ],
)
async def test_where_nothing_is_heard_its_person_is_told_and_the_key_stays_here(
    desk: Counter, kind: str, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """However the server fails, within the time it has."""
    desk.model.faults.fail("transcriptions", kind, times=None, **options)
    async with desk.open(**voice(desk, timeout_s=1.0)):
        desk.bot.say(CHAT, "", more=recording(desk.bot, b"words"))
        assert await desk.answer() == UNHEARD
    desk.model.faults.clear()
    assert "sk-voice-secret" not in caplog.text
    assert desk.model.call_count == 0


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", "naïve café".encode()),
        ("a.md", b"\xef\xbb\xbf" + "naïve café".encode()),
        ("a.csv", "naïve café".encode("utf-16")),
        ("a.py", "naïve café".encode("cp1252")),
        ("a.docx", word("naïve café")),
    ],
)
async def test_documents_are_read_whatever_they_are_written_in(desk: Counter, name: str, data: bytes) -> None:
    """The model gets the text, and where it begins and ends."""
    async with desk.open():
        desk.bot.say(CHAT, "sum up", more=document(desk.bot, data, name))
        await desk.answer()
    assert desk.model.calls[0].question == f"[document {name}]\nnaïve café\n[end of the document]\n\nsum up"


async def test_a_pdf_is_read_and_long_text_is_cut_with_a_word(desk: Counter) -> None:
    """So that the model knows that there is more."""
    async with desk.open(media={"max_document_chars": 10}):
        desk.bot.say(CHAT, "", more=document(desk.bot, pdf("Hello from a page"), "a.pdf"))
        await desk.answer()
    assert desk.model.calls[0].question.splitlines()[1:3] == ["Hello from", "[… cut after 10 characters]"]


async def test_a_long_document_is_not_cut_to_the_length_of_a_message(desk: Counter) -> None:
    """What was written beside it stands at the end, and must be there."""
    async with desk.open():
        desk.bot.say(CHAT, "the end?", more=document(desk.bot, b"word " * 8_000, "a.txt"))
        await desk.answer()
    assert desk.model.calls[0].question.endswith("[end of the document]\n\nthe end?")


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.txt"])
async def test_a_document_nobody_can_read_is_told_of(desk: Counter, name: str) -> None:
    """Garbage, and nothing at all."""
    async with desk.open():
        desk.bot.say(CHAT, "", more=document(desk.bot, b"  " if name == "a.txt" else b"garbage", name))
        assert await desk.answer() == UNREADABLE


async def test_a_file_the_server_does_not_give_is_told_of(desk: Counter) -> None:
    """Gone, refused, or cut off under way."""
    desk.bot.faults.fail("getFile", "bad_request", description="wrong file_id or the file is temporarily unavailable")
    desk.bot.faults.fail("file", "not_found")
    desk.bot.faults.fail("file", "reset", times=None)
    async with desk.open():
        for _ in range(3):
            desk.bot.say(CHAT, "", more=document(desk.bot, b"text", "a.txt"))
        assert await desk.answers(3) == [UNREADABLE] * 3


async def test_the_address_of_a_file_is_nowhere(desk: Counter, caplog: pytest.LogCaptureFixture) -> None:
    """It holds the token: not in a log, not in the database, whatever goes wrong."""
    caplog.set_level("DEBUG")
    for kind in ("not_found", "reset", "server_error"):
        desk.bot.faults.fail("file", kind)
    async with desk.open(**SEES):
        for _ in range(4):
            desk.bot.say(CHAT, "so?", more=photo(desk.bot, JPEG))
        await desk.answers(4)
    secret = desk.bot.token.partition(":")[2]
    assert secret not in caplog.text
    assert "/file/bot" not in caplog.text
    for path in desk.root.glob("counter.db*"):
        assert secret.encode() not in path.read_bytes()
        assert b"/file/bot" not in path.read_bytes()


async def test_bytes_are_kept_only_where_that_is_asked_for(desk: Counter) -> None:
    """As files of their owner alone, once, and gone with the person who sent them."""
    more = document(desk.bot, b"kept", "../../etc/pass wd.txt")
    async with desk.open():
        desk.bot.say(CHAT, "", more=more)
        await desk.answer()
    assert not (desk.root / "media").exists()
    async with desk.open(media={"keep_media": True}):
        desk.bot.say(CHAT, "", more=more)
        await desk.answers(2)
    (path,) = (desk.root / "media" / "support").iterdir()
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"kept", 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    await desk.services.media.forget("support", CHAT)
    assert not path.exists()
