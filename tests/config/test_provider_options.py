"""What `[llm.options]` takes is known before anything runs: each provider states it once."""

from __future__ import annotations

import pytest

from config.providers import OPTIONS
from config.vocabulary import PROVIDERS
from tests.config.conftest import Folder
from workers import llm


def test_every_provider_states_its_options() -> None:
    """The table, the names a file may hold, and the classes are of one mind."""
    assert set(OPTIONS) == set(PROVIDERS) == set(llm.PROVIDERS)


@pytest.mark.parametrize(
    ("options", "column", "words"),
    [
        ("{ delay_s = -1 }", 27, "echo takes here: a number from 0"),
        ("{ delay_s = inf }", 27, "echo takes here: a number from 0"),
        ("{ delay_s = true }", 27, "echo takes here: a number from 0"),
        ('{ delay_s = "1" }', 27, "echo takes here: a number from 0"),
        ("{ fail_rate = 1.5 }", 29, "echo takes here: a number from 0 to 1"),
        ("{ seed = 1.5 }", 24, "echo takes here: a whole number"),
        ("{ delay = 1 }", 17, "echo has no such option (did you mean delay_s?)"),
        ('{ call = "two words" }', 24, "echo takes here: a word without blanks"),
        ("{ call = 1 }", 24, "echo takes here: a word without blanks"),
        ("{ prompt = 1 }", 17, "echo has no such option (its options: call, delay_s, fail_rate, piece_delay_s, seed)"),
    ],
)
def test_what_echo_does_not_take_is_refused_with_its_place(
    folder: Folder, options: str, column: int, words: str
) -> None:
    """It was found at the first message before."""
    folder.bot("a", f"llm.options = {options}\n")
    problem = folder.problem()
    assert (problem.line, problem.column) == (2, column)
    assert words in str(problem)


def test_what_echo_takes_is_taken(folder: Folder) -> None:
    """Whole numbers are numbers too."""
    folder.bot("a", 'llm.options = { delay_s = 1, fail_rate = 1, seed = -3, call = "do" }\n')
    assert folder.problems() == ()


@pytest.mark.parametrize(
    "value", ["1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "nan", "[1, -inf]", "{ b = [{ c = inf }] }"]
)
def test_what_cannot_be_sent_to_a_server_is_refused_with_its_place(folder: Folder, value: str) -> None:
    """A real model takes any option that has a form in JSON."""
    llm = '[llm]\nprovider = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1/v1"\n[llm.options]\nok = 1\n'
    folder.bot("a", f"{llm}a = {value}\n")
    problem = folder.problem()
    assert problem.line == 8
    assert "cannot be sent" in problem.message
