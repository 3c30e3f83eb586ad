"""Functions as tools: what the model is told of one, how it is called, what it cannot do to the bots."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from store.events import LoopStalled
from tests.waiting import eventually
from tests.workers.tools_rig import BOT, Bench, bench
from workers.bus import Bus
from workers.clock import ManualClock, SystemClock
from workers.stall import LoopWatch
from workers.tools.signatures import Signature, Unfit
from workers.tools.threads import BOT_THREADS

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    async with bench(tmp_path, clock) as made:
        yield made


WEATHER = '''
"""Weather."""
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Optional
from typing_extensions import TypedDict
from pydantic import BaseModel, Field

@dataclass
class Place:
    city: str
    country: str = "LV"

class Span(BaseModel):
    first: date
    days: Annotated[int, Field(ge=1, le=7)] = 1

class Wish(TypedDict):
    unit: Literal["c", "f"]

def weather(
    place: Place,
    span: Span,
    wish: Wish,
    names: list[str],
    extra: dict[str, int] | None = None,
    note: Annotated[str, "anything to add"] = "",
    hour: Optional[int] = None,
) -> dict:
    """Tell the weather of a place.

    Over several days.

    Args:
        place: Where to
            look.
        span (Span): When.
        names: Who asks.

    Returns:
        A table.
    """
    return {"city": place.city, "country": place.country, "first": span.first, "unit": wish["unit"],
            "names": names, "extra": extra, "note": note, "hour": hour}
'''


async def test_a_signature_becomes_the_schema_and_arguments_become_its_types(desk: Bench) -> None:
    """Dataclasses, models, typed dicts, lists, choices, defaults and docstrings are all told, and given as such."""
    desk.python(WEATHER, "weather")
    [spec] = await desk.box.specs()
    assert spec.description == "Tell the weather of a place.\n\nOver several days."
    properties = spec.parameters["properties"]
    assert spec.parameters["required"] == ["place", "span", "wish", "names"]
    assert properties["names"] == {"type": "array", "items": {"type": "string"}, "description": "Who asks."}
    assert properties["place"]["description"] == "Where to look."
    assert properties["note"] == {"type": "string", "default": "", "description": "anything to add"}
    assert properties["hour"]["anyOf"] == [{"type": "integer"}, {"type": "null"}]
    assert spec.parameters["$defs"]["Wish"]["properties"] == {"unit": {"enum": ["c", "f"], "type": "string"}}
    assert "title" not in str(spec.parameters)
    told = await desk.call(
        "weather", place={"city": "Rīga"}, span={"first": "2026-01-02"}, wish={"unit": "c"}, names=["a"], hour="7"
    )
    assert told == (
        '{"city":"Rīga","country":"LV","first":"2026-01-02","unit":"c","names":["a"],"extra":null,"note":"","hour":7}'
    )


async def test_wrong_arguments_are_explained_and_the_function_is_not_called(desk: Bench) -> None:
    """The model reads which argument is wrong and why; its own words are not repeated."""
    desk.python(WEATHER, "weather")
    told = await desk.call(
        "weather", place={"town": "x"}, span={"first": "soon", "days": 9}, wish={"unit": "k"}, extra=1
    )
    assert told.startswith("Error: ")
    for said in ("place.city", "span.first", "span.days", "wish.unit", "'c' or 'f'", "names: Field required"):
        assert said in told
    assert "soon" not in told


DOCS = '''
def sphinx(city, days=3):
    """Look it up.

    :param city: the city
        by its name
    :param int days: how many
    :returns: a text
    """

def numpy(city: str, days: int = 3):
    """Look it up.

    Parameters
    ----------
    city : str
        the city
        by its name
    days : int, optional
        how many

    Returns
    -------
    str
    """

def google(city: str, days: int = 3):
    """Look it up.

    Args:
        city (str): the city
            by its name
        days (int, optional): how many
    """
'''


@pytest.mark.parametrize("style", ["sphinx", "numpy", "google"])
async def test_three_styles_of_docstrings_are_read(desk: Bench, style: str) -> None:
    """Each says the same of each argument; an argument without a type is a text, or what its default is."""
    desk.python(DOCS, style)
    [spec] = await desk.box.specs()
    assert spec.description == "Look it up."
    assert spec.parameters["properties"] == {
        "city": {"type": "string", "description": "the city by its name"},
        "days": {"type": "integer", "default": 3, "description": "how many"},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def f(*a): ...", "takes *a"),
        ("def f(**a): ...", "takes **a"),
        ("def f(a, /): ...", "by its place only"),
        ("def f(a: Unknown): ...", "type that is not known"),
        ("class Own: ...\ndef f(a: Own): ...", "cannot be told to a model"),
    ],
)
def test_a_function_a_model_cannot_call_is_refused(text: str, said: str) -> None:
    """Whatever cannot be given by name and as JSON is named."""
    space: dict[str, Any] = {}
    exec(f"from __future__ import annotations\n{text}", space)
    with pytest.raises(Unfit, match=said.replace("*", r"\*")):
        Signature(space["f"])


async def test_a_function_may_ask_who_speaks(desk: Bench) -> None:
    """The model is not told of that argument, and cannot give it."""
    desk.python(
        "from __future__ import annotations\n"
        "from workers.tools.base import Caller\n"
        "def mine(what: str, who: Caller) -> str: return f'{what} of {who.user_id} by {who.bot_id}'\n",
        "mine",
    )  # fmt: skip
    assert list((await desk.schema("mine"))["properties"]) == ["what"]
    assert await desk.call("mine", what="orders") == "orders of 7 by support"
    told = await desk.call("mine", what="orders", who={"user_id": "8"})
    assert told.startswith("Error: argument who: ")


async def test_results_become_text(desk: Bench) -> None:
    """Texts stay, None is "done", everything else is JSON; what cannot be written down is an error."""
    desk.python(
        "import decimal\n"
        "def text() -> str: return 'plain'\n"
        "def nothing(): return None\n"
        "def odd(): return {'a': {1}, 'b': object, 'n': float('nan')}\n"
        "def round_and_round():\n    found = []\n    found.append(found)\n    return found\n",
        "text", "nothing", "odd", "round_and_round",
    )  # fmt: skip
    assert await desk.call("text") == "plain"
    assert await desk.call("nothing") == "done"
    assert '"a":[1]' in await desk.call("odd")
    assert "cannot be written down" in await desk.call("round_and_round")


async def test_a_plain_function_runs_beside_the_loop_and_an_asynchronous_one_on_it(desk: Bench) -> None:
    """A thread for the one, the loop's for the other; a plain function that returns an awaitable is awaited."""
    desk.python(
        "import threading\n"
        "def plain(): return threading.current_thread().name\n"
        "async def on_loop(): return threading.current_thread().name\n"
        "def both(): return on_loop()\n",
        "plain", "on_loop", "both",
    )  # fmt: skip
    assert (await desk.call("plain")).startswith("botdeck-tools-")
    assert await desk.call("on_loop") == threading.current_thread().name
    assert await desk.call("both") == threading.current_thread().name


@pytest.mark.parametrize("how", ["def", "async def"])
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("raise KeyError('no such town')", "KeyError: 'no such town'"),
        ("import sys; sys.exit(3)", "it ended with SystemExit"),
        ("raise KeyboardInterrupt", "it ended with KeyboardInterrupt"),
        ("import asyncio; raise asyncio.CancelledError", "Error: "),
        ("raise BaseExceptionGroup('x', [SystemExit()])", "it ended with BaseExceptionGroup"),
        ("raise StopIteration('x')", "Error: "),
        ("return 'a\\ud800b'", "a?b"),
        ("return ''", "(nothing)"),
        ("raise ValueError('\\ud800')", "ValueError: ?"),
    ],
)
async def test_whatever_a_function_does_the_turn_goes_on(
    desk: Bench, how: str, what: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Errors of every kind are texts for the model; none ends the process, or the turn."""
    caplog.set_level(logging.CRITICAL + 1)  # half a character in a captured line is more than pytest's own wire takes
    desk.python(f"{how} bad():\n    {what}\n", "bad")
    assert said in await desk.call("bad")
    assert len(desk.events()) == 1


async def test_a_function_that_takes_too_long_is_given_up(desk: Bench, clock: ManualClock) -> None:
    """The model is told after the time the tool has, thread or task; a stubborn task is left to itself."""
    desk.python(
        "import anyio, threading\n"
        "go, there = threading.Event(), threading.Event()\n"
        "def plain():\n    there.set()\n    go.wait()\n"
        "async def patient():\n    there.set()\n    await anyio.sleep(3600)\n"
        "async def stubborn():\n"
        "    there.set()\n"
        "    while not go.is_set():\n"
        "        try:\n            await anyio.sleep(0.01)\n"
        "        except BaseException:\n            pass\n",
        "plain", "patient", "stubborn", timeout_s=3.0,
    )  # fmt: skip
    await desk.box.specs()
    module = next(m for name, m in sys.modules.items() if name.startswith("botdeck_tools_") and name.endswith(".mine"))
    for name in ("plain", "patient", "stubborn"):
        module.there.clear()
        told: list[str] = []

        async def ask(name: str = name, told: list[str] = told) -> None:
            told.append(await desk.call(name))

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await eventually(module.there.is_set)
            await clock.advance(3.0)
            await clock.advance(1.0)
        assert told == ["Error: it took longer than 3 s and was given up"]
    module.go.set()
    assert [(e.tool, e.error != "") for e in desk.events()] == [("plain", True), ("patient", True), ("stubborn", True)]


async def test_threads_that_hang_are_counted_against_their_bot_alone(desk: Bench) -> None:
    """A bot with BOT_THREADS functions that never end gets no more of them; another bot's run."""
    desk.python(
        "import threading\ngo = threading.Event()\ndef hang(): go.wait()\ndef quick(): return 'yes'\n", "hang", "quick"
    )
    box = desk.box
    await box.specs()
    module = next(m for name, m in sys.modules.items() if name.startswith("botdeck_tools_") and name.endswith(".mine"))
    hanging = [asyncio.create_task(desk.run("hang")) for _ in range(BOT_THREADS)]
    try:
        await eventually(lambda: desk.boxes._parts.threads._busy[BOT] == BOT_THREADS)
        assert "too many calls" in await desk.call("quick")
        other = desk.boxes.of(desk.spec("other"))
        await other.specs()
        from workers.llm.base import ToolCall

        assert await other.call(ToolCall("1", "quick", ""), desk.context(bot_id="other")) == "yes"
    finally:
        module.go.set()
        await asyncio.gather(*hanging)
    assert await desk.call("quick") == "yes"


async def test_a_tool_that_blocks_the_loop_is_named_by_its_file(desk: Bench) -> None:
    """The alarm names bot, tool and line of the file, also when it is a library that blocks."""
    desk.python(
        "import time, statistics\n"
        "async def sleepy():\n"
        "    time.sleep(0.6)\n"
        "async def busy():\n"
        "    until = time.monotonic() + 0.6\n"
        "    while time.monotonic() < until:\n"
        "        statistics.pstdev(range(20000))\n",
        "sleepy", "busy",
    )  # fmt: skip
    bus = Bus()
    await desk.box.specs()
    with bus.subscribe() as events:
        watch = LoopWatch(bus, SystemClock())
        watch.start()
        try:
            for name, line in (("sleepy", 3), ("busy", 7)):
                watch._quiet.clear()
                await desk.call(name)
                stalled = await eventually(lambda: next((e for e in events.take() if isinstance(e, LoopStalled)), None))
                assert (stalled.bot_id, stalled.task) == (BOT, f"{BOT}/tool {name}")
                assert f"tools/mine.py:{line} {name}" in stalled.line
        finally:
            watch.stop()


async def test_a_secret_is_taken_out_before_the_result_is_cut(desk: Bench) -> None:
    """Half a secret is one too: neither half is told, wherever the cut falls."""
    secret = "".join(f"{number:02x}" for number in range(64))
    desk.redactor.replace_known({secret})
    desk.python(f"def leak(at: int) -> str: return 'x' * at + {secret!r} + 'y' * 20_000\n", "leak")
    for at in (7880, 7920, 7999, 8000 + 4096 - 64, 12_000):
        told = await desk.call("leak", at=at)
        assert 7800 < len(told) <= 8000
        assert secret[:8] not in told
    desk.python(f"def full() -> str: return {secret!r} * 200\n", "full", file="full")
    told = await desk.call("full")
    assert secret[:8] not in told


async def test_a_failing_function_is_logged_with_its_trace(desk: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The operator finds the line in the log; the model is told the error alone."""
    desk.python("def bad():\n    return {}['x']\n", "bad")
    caplog.set_level(logging.ERROR)
    assert await desk.call("bad") == "Error: KeyError: 'x'"
    assert "mine.py" in caplog.text
