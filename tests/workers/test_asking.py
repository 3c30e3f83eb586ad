"""Who is asked, in which order and how often: fallbacks, patience, endpoints that rest."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any, cast

import anyio
import pytest

from config.schema import LlmSection
from config.vocabulary import Role, Secret
from console.sandbox.server import Sandbox
from tests.waiting import eventually
from workers.clock import ManualClock
from workers.errors import AnswerUnusable, ProviderError, ProviderRefused, ProviderUnavailable, RequestRefused
from workers.http import Http
from workers.llm import Providers
from workers.llm.asking import UNSEEN, Asked, Asker
from workers.llm.base import CompletionRequest, Image, Message
from workers.llm.breakers import FAILURES, LONGEST_REST_S, REST_S

pytestmark = pytest.mark.anyio

QUESTION = CompletionRequest("", (Message(Role.USER, "one two three four"),))
TWO = [{"provider": "anthropic", "model": "spare", "temperature": 0.1, "api_key": Secret("k2")}]


class Ear:
    """A listener: what it heard since it was last told to forget, and how often it was."""

    def __init__(self) -> None:
        self.text = ""
        self.restarts = 0
        self.pieces = 0

    def piece(self, text: str) -> None:
        self.pieces += 1
        self.text += text

    def restart(self) -> None:
        self.restarts += 1
        self.text = ""


class Desk:
    """An asker, the endpoints it may ask, and time held in hand."""

    def __init__(self, first: Sandbox, second: Sandbox, http: Http, clock: ManualClock) -> None:
        self.first, self.second, self.clock = first.model, second.model, clock
        self.urls = (first.model_url, second.model_url)
        self.asker = Asker(Providers(http, clock), clock)

    def section(self, *, fallbacks: Any = (), key: str = "k1", **more: Any) -> LlmSection:
        """A bot's [llm] at the first endpoint; its fallbacks are at the second."""
        links = [{"base_url": self.urls[1], **link} for link in fallbacks]
        known = {"provider": "openai", "model": "main", "base_url": self.urls[0], "api_key": Secret(key)}
        return LlmSection.model_validate({**known, "fallbacks": tuple(links), **more})

    async def ask(self, section: LlmSection, request: CompletionRequest = QUESTION, ear: Ear | None = None) -> Asked:
        """Ask, letting time pass as long as no server is at work. Raises the asker's ProviderError."""
        outcome: list[Asked | ProviderError] = []

        async def one() -> None:
            try:
                outcome.append(await self.asker.ask(section.chain(), request, ear))
            except ProviderError as error:
                outcome.append(error)

        async def later() -> Any:
            if not outcome:
                await self.clock.advance(0.25)
            return outcome

        async with anyio.create_task_group() as group:
            group.start_soon(one)
            await eventually(later)
        if isinstance(outcome[0], ProviderError):
            raise outcome[0]
        return outcome[0]

    async def fails(self, section: LlmSection, request: CompletionRequest = QUESTION) -> ProviderError:
        """Ask in vain."""
        with pytest.raises(ProviderError) as caught:
            await self.ask(section, request)
        return caught.value

    async def exhaust(self, **more: Any) -> None:
        """Let the first endpoint fail until it rests."""
        self.first.faults.fail("chat", "server_error", times=None, status=503)
        while not self.asker.breakers():
            await self.fails(self.section(**more))


@pytest.fixture
async def desk(clock: ManualClock) -> AsyncIterator[Desk]:
    http = Http()
    async with Sandbox() as first, Sandbox() as second:
        yield Desk(first, second, http, clock)
    await http.close()


# --- the order --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "tries"),
    [
        ("server_error", {"status": 503}, 3),
        ("server_error", {"status": 529}, 3),
        ("flood", {"retry_after": 1}, 3),
        ("flood", {"retry_after": 60}, 1),
        ("reset", {}, 3),
        ("malformed_chunk", {}, 3),
        ("truncate", {}, 3),
        ("unauthorized", {}, 1),
        ("not_found", {}, 1),
    ],
)
@pytest.mark.parametrize("listens", [False, True])
async def test_the_next_is_asked_when_one_cannot(
    desk: Desk, kind: str, options: dict[str, Any], tries: int, *, listens: bool
) -> None:
    """After three tries, or at once when more of them are in vain; nobody hears a failed link's words."""
    desk.first.faults.fail("chat", kind, times=None, **options)
    ear = Ear() if listens else None
    asked = await desk.ask(desk.section(fallbacks=TWO), ear=ear)
    assert (asked.completion.text, asked.provider, asked.model, asked.link) == (
        "one two three four", "anthropic", "spare", 1,
    )  # fmt: skip
    assert asked.why.startswith("openai main: ")
    assert (desk.first.call_count, desk.second.call_count) == (tries, 1)
    if ear is not None:
        assert ear.text == "one two three four"
        assert ear.restarts == (tries if kind in {"malformed_chunk", "truncate"} else 0)


async def test_a_stream_cut_once_is_begun_anew(desk: Desk) -> None:
    """The listener forgets the half it heard; without any half there is nothing to forget."""
    ear = Ear()
    desk.first.faults.fail("chat", "cut", after_pieces=2)
    desk.first.faults.fail("chat", "cut", after_pieces=0)
    assert (await desk.ask(desk.section(), ear=ear)).completion.text == ear.text == "one two three four"
    assert (ear.restarts, desk.first.call_count) == (1, 3)


async def test_a_request_that_is_refused_is_put_to_nobody_else(desk: Desk) -> None:
    """Too long or filtered, it is no better elsewhere; the next message finds the first one again."""
    desk.first.faults.fail("chat", "bad_request")
    assert isinstance(await desk.fails(desk.section(fallbacks=TWO)), RequestRefused)
    assert (await desk.ask(desk.section(fallbacks=TWO))).link == 0
    assert desk.second.call_count == 0


async def test_what_all_said_is_told(desk: Desk) -> None:
    """The kind of the first one's error, and each one's reason."""
    desk.first.faults.fail("chat", "unauthorized", times=None)
    desk.second.faults.fail("chat", "server_error", times=None, status=529)
    error = await desk.fails(desk.section(fallbacks=TWO))
    assert isinstance(error, ProviderRefused)
    assert "openai main: the model's server answered 401" in error.message
    assert "anthropic spare: the model's server answered 529" in error.message
    assert error.hint == "check [llm] api_key"
    alone = await desk.fails(desk.section())
    assert alone.message.startswith("the model's server answered 401")


async def test_each_link_is_asked_with_its_own_settings(desk: Desk) -> None:
    """A model chosen for one conversation is the first link's; pictures go to those who see."""
    request = CompletionRequest("chosen", (Message(Role.USER, "what?", images=(Image("image/png", b"x"),)),), 2.0)
    section = desk.section(fallbacks=[{**TWO[0], "images": False}], temperature=0.7, images=True)
    await desk.ask(section, request)
    body = desk.first.calls[-1].body
    assert (body["model"], body["temperature"], len(body["messages"][0]["content"])) == ("chosen", 0.7, 2)
    desk.first.faults.fail("chat", "not_found")
    await desk.ask(section, request)
    body = desk.second.calls[-1].body
    assert (body["model"], body["temperature"]) == ("spare", 0.1)
    assert body["messages"][0]["content"] == [{"type": "text", "text": f"what?\n{UNSEEN}"}]


async def test_a_wish_for_patience_is_honoured(desk: Desk) -> None:
    """Up to twenty seconds; then the same link answers."""
    desk.first.faults.fail("chat", "flood", retry_after=7)
    began = desk.clock.monotonic()
    assert (await desk.ask(desk.section(fallbacks=TWO))).link == 0
    assert desk.clock.monotonic() - began >= 7


# --- endpoints that rest ----------------------------------------------------------------------------------------


async def test_an_endpoint_that_fails_again_and_again_rests(desk: Desk) -> None:
    """After five failures in a row nobody asks it, whoever has the same key; others are asked as ever."""
    await desk.exhaust()
    assert desk.first.call_count == FAILURES
    error = await desk.fails(desk.section(model="other"))
    assert "resting until" in error.message
    assert "503" in error.message
    assert desk.first.call_count == FAILURES
    await desk.fails(desk.section(key="another"))
    assert desk.first.call_count == FAILURES + 3
    asked = await desk.ask(desk.section(fallbacks=TWO))
    assert "resting until" in asked.why
    assert desk.first.call_count == FAILURES + 3
    [state] = desk.asker.breakers()
    assert state.provider == "openai"
    assert state.place in desk.urls[0]
    assert 0 < state.until - desk.clock.now() <= REST_S


async def test_one_try_ends_a_rest(desk: Desk) -> None:
    """When it is over one message asks, the others are turned away meanwhile; an answer opens the door to all."""
    await desk.exhaust()
    desk.first.faults.clear()
    fault = desk.first.faults.fail("chat", "hold")
    await desk.clock.advance(REST_S)
    before = desk.first.call_count
    async with anyio.create_task_group() as group:
        group.start_soon(desk.asker.ask, desk.section().chain(), QUESTION)
        await fault.reached()
        with pytest.raises(ProviderUnavailable, match="being tried again"):
            await desk.asker.ask(desk.section().chain(), QUESTION)
        assert desk.first.call_count == before + 1
        fault.release()
    assert desk.asker.breakers() == ()
    assert (await desk.ask(desk.section())).link == 0


async def test_a_try_that_fails_or_is_left_does_not_shut_the_door_for_ever(desk: Desk) -> None:
    """One failure doubles the rest, without a second try; a try that is cancelled leaves its place to the next."""
    await desk.exhaust()
    await desk.clock.advance(REST_S)
    before = desk.first.call_count
    await desk.fails(desk.section())
    assert desk.first.call_count == before + 1
    await desk.clock.advance(REST_S + 1)
    assert "resting" in (await desk.fails(desk.section())).message
    await desk.clock.advance(REST_S)
    desk.first.faults.clear()
    fault = desk.first.faults.fail("chat", "hold")
    async with anyio.create_task_group() as group:
        group.start_soon(desk.asker.ask, desk.section().chain(), QUESTION)
        await fault.reached()
        group.cancel_scope.cancel()
    assert (await desk.ask(desk.section())).link == 0


async def test_an_hour_of_outage_costs_next_to_nothing(desk: Desk) -> None:
    """A message a second for an hour: the endpoint is asked some dozens of times, and every message is told at once."""
    await desk.exhaust()
    chain = desk.section().chain()
    for _ in range(3600):
        with pytest.raises(ProviderUnavailable):
            await desk.asker.ask(chain, QUESTION)
        await desk.clock.advance(1)
    assert desk.first.call_count < FAILURES + 2 + 3600 / (LONGEST_REST_S - 20)
    desk.first.faults.clear()
    await desk.clock.advance(LONGEST_REST_S)
    assert (await desk.ask(desk.section())).link == 0


@pytest.mark.parametrize("kind", ["bad_request", "unauthorized", "empty", "impatience"])
async def test_what_one_bot_does_to_itself_lets_nobody_rest(desk: Desk, kind: str) -> None:
    """Requests the server refuses, answers of no use, limits nobody could keep: the endpoint itself is well."""
    section = desk.section()
    if kind == "empty":
        desk.first.answer = lambda _call: " "
    elif kind == "impatience":
        desk.first.faults.fail("chat", "hang", times=None)
        section = desk.section(timeout_s=1.0)
    else:
        desk.first.faults.fail("chat", kind, times=None)
    for _ in range(FAILURES):
        error = await desk.fails(section)
    assert desk.asker.breakers() == ()
    assert isinstance(error, AnswerUnusable) == (kind == "empty")
    desk.first.faults.clear()
    desk.first.answer = lambda call: call.question
    assert (await desk.ask(desk.section())).link == 0


async def test_failures_far_apart_or_between_answers_do_not_count(desk: Desk) -> None:
    """Four in a row and an answer, four within a minute and one later: it goes on being asked."""
    for _ in range(4):
        desk.first.faults.fail("chat", "server_error", times=2)
        assert (await desk.ask(desk.section())).link == 0
    desk.first.faults.fail("chat", "server_error", times=None)
    for _ in range(3):
        await desk.fails(desk.section())
        if desk.asker.breakers():
            pytest.fail("it rests")
        await desk.clock.advance(60)


async def test_echo_never_rests(desk: Desk) -> None:
    """It has no endpoint: what one bot has it do is no other's business."""
    for _ in range(FAILURES):
        await desk.fails(LlmSection(provider="echo", options={"fail_rate": 1}))
    assert (await desk.ask(LlmSection(provider="echo"))).completion.text == "one two three four"


async def test_a_rest_is_shown_without_the_secrets_of_its_address(clock: ManualClock) -> None:
    """User name and password of a base_url are for the server alone."""
    http = Http()
    asker = Asker(Providers(http, clock), clock)
    section = LlmSection(provider="openai", base_url="http://user:word@127.0.0.1:9/v1", model="m")
    async with anyio.create_task_group() as group:
        for _ in range(FAILURES):
            group.start_soon(_vain, asker, section)

        async def later() -> Any:
            await clock.advance(1)
            return asker.breakers()

        await eventually(later)
    [state] = asker.breakers()
    assert state.place == "127.0.0.1:9"
    assert "word" not in f"{state}"
    await http.close()


async def _vain(asker: Asker, section: LlmSection) -> None:
    with pytest.raises(ProviderUnavailable):
        await asker.ask(section.chain(), QUESTION)


class Spoken:
    """What was read of an answer."""


class Failing:
    """A model whose answer is of no use, after much of it was read."""

    def __init__(self) -> None:
        self.read: list[weakref.ref[Spoken]] = []

    def get(self, config: object) -> Failing:
        return self

    async def complete(self, request: CompletionRequest) -> Any:
        spoken = Spoken()
        self.read.append(weakref.ref(spoken))
        raise ProviderRefused(f"no use: {spoken}")


@pytest.mark.parametrize("fallbacks", [0, 1])
async def test_a_failure_keeps_nothing_of_what_was_read(clock: ManualClock, fallbacks: int) -> None:
    """An answer may be a megabyte, and a collection of garbage hours away."""
    model = Failing()
    section = LlmSection.model_validate({"provider": "echo", "fallbacks": ({"provider": "echo"},) * fallbacks})
    gc.disable()
    try:
        with pytest.raises(ProviderRefused):
            await Asker(cast("Any", model), clock).ask(section.chain(), QUESTION)
        assert [spoken() for spoken in model.read] == [None] * (1 + fallbacks)
    finally:
        gc.enable()
