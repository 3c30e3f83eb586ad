"""The built-in tools: time, calculator, what is known of a person, next questions; and the checks of arguments."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.tools_rig import Bench, bench
from workers.clock import ManualClock
from workers.errors import ToolFailed
from workers.llm.base import ToolCall
from workers.tools import arguments
from workers.tools.calculator import calculate

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Bench]:
    async with bench(tmp_path, clock) as made:
        yield made


async def test_time_is_told_in_the_bots_zone(desk: Bench) -> None:
    """UTC without one; another when the model asks for it; an unknown one is said to be."""
    desk.tool("time", "builtin")
    assert await desk.call("time") == "Tuesday, 2023-11-14 22:13:20+00:00 (UTC)"
    desk.sections["time_zone"] = "Asia/Tokyo"
    assert await desk.call("time") == "Wednesday, 2023-11-15 07:13:20+09:00 (Asia/Tokyo)"
    assert await desk.call("time", zone="Europe/Riga") == "Wednesday, 2023-11-15 00:13:20+02:00 (Europe/Riga)"
    for zone in ("Mars/Base", "../../etc/passwd", "", "/etc/passwd"):
        told = await desk.call("time", zone=zone)
        assert told.startswith("Error: there is no time zone") or zone == ""


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2 + 3 * 4", "14"),
        ("0.1 + 0.2", "0.3"),
        ("-(2 ** 10) // 3", "-342"),
        ("2^10", "1024"),
        ("3 × 4 ÷ 2 − 1", "5"),
        ("sqrt(2) * sqrt(2)", "2"),
        ("round(2.567, 2)", "2.57"),
        ("max(1, 2, pi)", "3.14159265358979"),
        ("factorial(20)", "2432902008176640000"),
        ("2 ** 4000 % 97", str(2**4000 % 97)),
        ("sum(1, 2, 3) / 7", "0.857142857142857"),
    ],
)
async def test_expressions_are_worked_out(desk: Bench, expression: str, result: str) -> None:
    """Whole numbers exactly, others to what a float is sure of."""
    desk.tool("calculator", "builtin")
    assert await desk.call("calculator", expression=expression) == result


@pytest.mark.parametrize(
    "expression",
    [
        "9 ** 9 ** 9", "2 ** 5000", "(2 ** 4000) * (2 ** 4000)", "factorial(100000)", "factorial(2.5)", "1 / 0", "1e308 * 10",
        "10.0 ** 400", "(-1) ** 0.5", "sqrt(-1)", "log(0)", "__import__('os').system('x')", "().__class__", "x", "'a' * 9",
        "True + 1", "[1][0]", "(lambda: 1)()", "1 if 1 else 2", "sin(x=1)", "abs", "1 < 2", "2 << 3", "", "1 +", "1,2",
        "(" * 300 + "1" + ")" * 300, "1+" * 249 + "1", "-" * 400 + "1", "f'{1}'", "max()", "abs(1, 2)", "9" * 501, "1j",
        "exp(1000)", "round(1, 2, 3)", "floor(1e400)", "\0", "\ud800",
    ],
)  # fmt: skip
def test_what_is_no_bounded_arithmetic_is_refused(expression: str) -> None:
    """Nothing is evaluated as code, nothing grows without bounds."""
    with pytest.raises(ToolFailed):
        calculate(expression)


@given(st.text(alphabet="0123456789.+-*/%() ,episqrtlogmaxfactorial^", max_size=80))
def test_any_expression_ends_in_a_number_or_a_sentence(expression: str) -> None:
    """No other error, whatever is asked."""
    with suppress(ToolFailed):
        text = calculate(expression)
        assert len(text) > 300 or math.isfinite(float(text))
        assert len(text) < 1300


async def test_the_model_remembers_recalls_and_forgets_a_person(desk: Bench) -> None:
    """Facts belong to the person who speaks; the store's limits are told to the model."""
    desk.sections["memory"] = {"profile": True}
    assert await desk.names() == ["remember", "recall", "forget"]
    assert await desk.call("recall") == "nothing is known of this person"
    assert await desk.call("remember", fact="city", value="Riga") == "remembered"
    assert await desk.call("remember", fact="city", value="Oslo") == "remembered"
    assert await desk.call("recall") == "city: Oslo"
    other = await desk.box.call(ToolCall("1", "recall", ""), desk.context(user_id="8"))
    assert other == "nothing is known of this person"
    nobody = await desk.box.call(ToolCall("1", "recall", ""), desk.context(user_id=""))
    assert nobody.startswith("Error: it is not known who speaks")
    assert "nothing of that name" in await desk.call("forget", fact="town")
    assert await desk.call("forget", fact="city") == "forgotten"
    assert await desk.partition.profiles.all("", "7") == {}
    assert "at most" in await desk.call("remember", fact="x", value="y" * 501)
    assert "a name and a value" in await desk.call("remember", fact=" ", value="y")
    for number in range(64):
        await desk.call("remember", fact=f"f{number}", value="x")
    assert "64 facts" in await desk.call("remember", fact="one more", value="x")
    assert desk.events()[-1].error == "there are 64 facts about this person already"


async def test_suggestions_are_kept_for_the_turn(desk: Bench) -> None:
    """Four at most, each short and once."""
    desk.sections["reply"] = {"suggestions": True}
    context = desk.context()
    calls = ['{"replies": ["One", "two  \\n lines", "One", "", "x", "y", "z"]}', '{"replies": []}']
    told = [await desk.box.call(ToolCall("1", "suggest", text), context) for text in calls]
    assert context.suggestions == ["One", "two lines", "x", "y"]
    assert told[0].startswith("offered")
    assert "at least 1 items" in told[1]


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"type": "integer", "minimum": 1, "maximum": 9},
        "b": {"type": ["string", "null"], "minLength": 2, "maxLength": 3},
        "c": {"enum": ["x", 1]},
        "d": {"type": "array", "items": {"type": "object", "properties": {"e": {"type": "boolean"}}, "required": ["e"]}, "maxItems": 2},
        "f": {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "null"}]},
        "g": True,
    },
    "required": ["a"],
    "additionalProperties": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"a": 1}, ""),
        ({"a": 9.0, "b": None, "c": 1, "d": [{"e": True}], "f": 0.5, "g": [1]}, ""),
        ({}, "argument a is missing"),
        ({"a": "1"}, "argument a must be a whole number"),
        ({"a": True}, "argument a must be a whole number"),
        ({"a": 1.5}, "argument a must be a whole number"),
        ({"a": 0}, "argument a must be at least 1"),
        ({"a": 10}, "argument a must be at most 9"),
        ({"a": 1, "b": "x"}, "argument b must have at least 2 characters"),
        ({"a": 1, "b": 5}, "argument b must be text or null"),
        ({"a": 1, "c": True}, 'argument c must be one of: "x", 1'),
        ({"a": 1, "d": [{}, {"e": 1}, 3]}, "argument d must have at most 2 items; argument d[0].e is missing; argument d[1].e must be true or false; argument d[2] must be an object"),
        ({"a": 1, "f": -1}, "argument f is of none of the kinds allowed"),
        ({"a": 1, "z": 1}, "there is no argument z; there are: a, b, c, d, f, g"),
    ],
)  # fmt: skip
def test_arguments_are_checked_by_their_schema(given: dict[str, Any], said: str) -> None:
    """All that is wrong is said at once."""
    with pytest.raises(ToolFailed) if said else nullcontext() as raised:
        arguments.check(SCHEMA, given)
    assert (raised.value.message if raised else "") == said


@pytest.mark.parametrize(
    "text", ["{", "[]", "1", "null", '{"a": NaN}', '{"a": 1} x', "[" * 100_000, " " * 100_001, '"a"', "{'a': 1}"]
)
async def test_arguments_that_are_no_object_are_told(desk: Bench, text: str) -> None:
    """The tool is not called."""
    desk.tool("time", "builtin")
    told = await desk.box.call(ToolCall("1", "time", text), desk.context())
    assert told.startswith("Error: the arguments ")
    assert desk.events()[0].error
