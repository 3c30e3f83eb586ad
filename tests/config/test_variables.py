"""Variables in texts: every form, once, and every failure said."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.dotenv import Variables, read_dotenv
from config.expand import Budget, expand, looks_secret
from config.files import MAX_BYTES

VARIABLES = Variables(
    {"A": "1", "EMPTY": "", "TRAP": "${A}", "DB_PASSWORD": "pw", "SUPPORT_TOKEN": "t"}, {"A": "2", "B": "b"}
)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("x${A}y${B}z", "x1ybz"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${NO:-}", ""),
        ("${NO:-a b:c}", "a b:c"),
        ("${A:?text}", "1"),
        ("${TRAP}", "${A}"),
        ("$${A} $A $$ $", "${A} $A $$ $"),
        ("$$${A}", "$${A}"),
        ("{}", "{}"),
    ],
)
def test_each_reference_is_put_in_once(text: str, made: str) -> None:
    """The process environment wins over .env; what is put in is not looked at again."""
    expansion = expand(text, VARIABLES)
    assert (expansion.text, expansion.failures) == (made, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NO}", "the variable NO is not set"),
        ("${NO:?ask the boss}", "the variable NO is not set: ask the boss"),
        ("${EMPTY:?x}", "the variable EMPTY is not set: x"),
        ("${A", "a ${ is never closed"),
        ("${1A}", "what stands in ${…} is no name"),
        ("${}", "what stands in ${…} is no name"),
        ("${A:+x}", "what stands in ${…} is no name"),
        ("${NO:-${A}}", "references cannot stand inside each other"),
    ],
)
def test_what_cannot_be_put_in_is_said(text: str, message: str) -> None:
    """Each failure is a sentence with a hint."""
    ((said, hint),) = expand(text, VARIABLES).failures
    assert said == message
    assert hint


def test_all_failures_of_a_text_are_said_and_typos_are_guessed() -> None:
    """Not the first one only; the nearest name that is set is named."""
    failures = expand("${SUPORT_TOKEN} ${X}", VARIABLES).failures
    assert len(failures) == 2
    assert "did you mean SUPPORT_TOKEN?" in failures[0][1]


def test_expansion_is_capped() -> None:
    """Many references to one large variable end in a failure, not in gigabytes."""
    variables = Variables({"BIG": "x" * 100_000}, {})
    ((message, _),) = expand("${BIG}" * 100_000, variables).failures
    assert message == "expands to more than 1024 KiB"
    budget = Budget()
    assert not expand("${BIG}" * 10, variables, budget=budget).failures
    assert budget.left == MAX_BYTES - 1_000_000
    assert expand("${BIG}", variables, budget=budget).failures


def test_secret_looking_variables_are_told_and_masked() -> None:
    """Their values are named as secrets, and give the mask where it is asked for."""
    expansion = expand("x${DB_PASSWORD}y${A}", VARIABLES)
    assert (expansion.text, expansion.secrets) == ("xpwy1", ["pw"])
    assert expand("x${DB_PASSWORD}y${A}", VARIABLES, mask=True).text == "x••••••y1"


def test_names_that_look_secret() -> None:
    """What people call their secrets is recognised, ordinary words are not."""
    assert all(map(looks_secret, ("OPENAI_API_KEY", "TOKEN", "PGPASS_PW", "DB_PASSWORD", "my-key", "Authorization")))
    assert not any(map(looks_secret, ("MONKEY", "MODEL", "KEYBOARD", "BASE_URL", "POLL_S", "COMPASS")))


@given(st.text(alphabet="${}:-?AB x", max_size=40))
def test_no_text_upsets_expansion(text: str) -> None:
    """Any text gives a text or failures, and one without `${` stays as it is."""
    expansion = expand(text, VARIABLES)
    assert expansion.failures or "${" in text or expansion.text == text


def test_dotenv_is_taken_as_it_stands_and_leaves_the_process_alone(folder) -> None:
    """Quotes, comments and export as python-dotenv reads them; no expansion inside; os.environ untouched."""
    before = dict(os.environ)
    folder.write(".env", "# c\nexport A='x y'\nB=${A}\nC=\"l1\\nl2\"\nD=\nBARE\n")
    dotenv = read_dotenv(folder.root / ".env")
    assert dotenv.values == {"A": "x y", "B": "${A}", "C": "l1\nl2", "D": ""}
    assert dict(os.environ) == before


def test_a_broken_line_of_dotenv_is_located_and_never_quoted(folder) -> None:
    """Its line is told, what stands there is not."""
    folder.write(".env", "A=1\n'hunter2hunter2 = x\n")
    problem = folder.problem()
    assert (problem.file.name, problem.line) == (".env", 2)
    assert "hunter2" not in str(problem)


def test_a_dotenv_everybody_may_read_is_a_warning(folder) -> None:
    """It works, and the way to mend it is told."""
    folder.write(".env", "A=1\n").chmod(0o644)
    snapshot = folder.load()
    assert not snapshot.problems
    assert [warning.hint for warning in snapshot.warnings] == ["chmod 600 .env"]


def test_a_number_or_truth_may_come_from_a_variable(folder) -> None:
    """A reference in quotes stands for what its key takes; what is no number is refused by the key's own rule."""
    folder.environ = {"N": "7", "T": "0.5", "E": "false"}
    folder.bot("a", '[llm]\ntemperature = "${T}"\n[limits]\nmax_lanes = "${N}"\n')
    folder.bot("b", 'enabled = "${E}"\n')
    folder.bot("c", '[limits]\nmax_lanes = "${E}"\n')
    snapshot = folder.load()
    assert snapshot.bots["a"].config.llm.temperature == 0.5
    assert snapshot.bots["a"].config.limits.max_lanes == 7
    assert snapshot.bots["b"].config.enabled is False
    (problem,) = snapshot.problems
    assert problem.message == 'found what "${E}" stands for; allowed: a whole number 1 or more'
