"""Whatever stands in the files, loading gives a good bot or problems with places, never a traceback."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.keys import bot_keys, fleet_keys
from config.load import Loader
from tests.hostile.__main__ import Tally, campaign
from tests.hostile.judging import judge
from tests.hostile.seeds import ENVIRON, Fleet, fleets
from tests.hostile.spoil import spoil
from tests.operated import ROOT, botdeck

SUITE_SEED = 20260101
SUITE_FILES = 300
CHARACTERS = st.sampled_from(
    [*list("[]{}\"'=.,#$\\\n\r\t -:0aZé\x00\x7f\u202e"), "${", '"""', "[[", "$resource", "1e999", "nan"]
)

quick = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@st.composite
def mutated(draw: st.DrawFn, fleet: Fleet) -> Fleet:
    """Return a fleet with a few pieces of a text cut, doubled, swapped or put in."""
    text = fleet.texts[fleet.target].decode()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.just(""), CHARACTERS, st.just(text[start:end] * 2)))
        text = text[:start] + piece + text[end:]
    return fleet.spoiled(text.encode())


def held(root: Path, fleet: Fleet) -> None:
    """Hold a fleet against all that is promised."""
    assert judge(root, fleet).broken == ()


def good(target: str) -> Fleet:
    """Return the first good fleet whose file this is."""
    return next(fleet for fleet in fleets() if fleet.target == target)


def everywhere(data: bytes) -> Fleet:
    """Return a fleet all of whose files are the same."""
    return Fleet("fleet.toml", dict.fromkeys(("bots/a.toml", "fleet.toml", "environments/e.toml", ".env"), data))


@pytest.mark.parametrize("fleet", fleets(), ids=lambda fleet: fleet.target)
def test_the_good_files_are_good(tmp_path: Path, fleet: Fleet) -> None:
    """Else the mutations would prove little."""
    assert judge(tmp_path, fleet).snapshot.problems == ()


def test_the_corpus_holds_every_key() -> None:
    """A key that is new is spoiled too."""
    text = b"\n".join(fleet.texts[fleet.target] for fleet in fleets()).decode()
    names = [key.path[-1] for key in (*bot_keys().values(), *fleet_keys().values())]
    assert [name for name in names if name not in text] == []


def test_hundreds_of_spoiled_files_are_loaded_or_refused_with_a_place(tmp_path: Path) -> None:
    """`python -m tests.hostile` does so with thousands."""
    tally = campaign(tmp_path, SUITE_SEED, range(SUITE_FILES), Tally())
    assert tally.broken == []
    assert min(tally.valid, tally.refused) > SUITE_FILES // 50, "both sorts are needed"


@given(fleet=st.sampled_from(fleets()).flatmap(mutated))
@quick
def test_no_mutation_of_any_file_is_a_traceback(tmp_path: Path, fleet: Fleet) -> None:
    """Each problem has a place within its file."""
    held(tmp_path, fleet)


@given(text=st.text(max_size=80))
@quick
def test_no_text_is_a_traceback(tmp_path: Path, text: str) -> None:
    """Anything UTF-8 can hold."""
    held(tmp_path, everywhere(text.encode("utf-8", "replace")))


@given(raw=st.binary(max_size=60))
@quick
def test_no_bytes_are_a_traceback(tmp_path: Path, raw: bytes) -> None:
    """Anything a disk can hold, .env included."""
    held(tmp_path, everywhere(raw))


NAMES = st.sampled_from(
    sorted({str(name) for path in bot_keys() for name in path} | {"$resource", "$requires", "type", "modle", "ключ"})
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.integers(-2, 60),
        st.integers(),
        st.floats(),
        st.booleans(),
        st.text(max_size=6),
        st.dates(),
        st.sampled_from(["${TOKEN}", "${NO}", "default", "providers", "echo", "cmd:", "file:x"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


@given(data=st.dictionaries(NAMES, VALUES, max_size=5))
@quick
def test_no_well_formed_nonsense_is_a_traceback(tmp_path: Path, data: dict[str, Any]) -> None:
    """Right names with wrong values, wrong names, tables where values belong."""
    text = tomli_w.dumps(data)
    shared = "[providers.default]\n" + "".join(f"{line}\n" for line in text.split("\n") if "[" not in line)
    fleet = good("bots/a.toml").spoiled(text.encode())
    held(tmp_path, Fleet(fleet.target, {**fleet.texts, "environments/e.toml": shared.encode()}))


def test_resources_that_take_each_other_far_down_are_refused_with_a_place(tmp_path: Path) -> None:
    """Each is shallow; together they would be nested deeper than anything that walks values can go."""
    dots = ".".join("abc"[i % 3] for i in range(50))
    table = '[r.r{0}]\nx = 1\n[r.r{0}.{2}]\n"$resource" = "r{1}"\ntype = "r"\n'
    environment = "".join(table.format(i, i + 1, dots) for i in range(90)) + "[r.r90]\nx = 1\n"
    bot = 'channel = "none"\n[llm]\nprovider = "openai"\nmodel = "m"\nbase_url = "http://h/v1"\n[llm.options]\n"$resource" = "r0"\ntype = "r"\n'
    texts = {"bots/a.toml": bot, "fleet.toml": '[fleet]\nenvironment = "e"\n', "environments/e.toml": environment}
    verdict = judge(tmp_path, Fleet("bots/a.toml", {name: text.encode() for name, text in texts.items()}))
    assert verdict.broken == ()
    (problem,) = verdict.snapshot.problems
    assert problem.message == "resources within resources are nested too deeply"


@pytest.mark.parametrize("size", [1_048_577, 10_000_000])
def test_a_file_of_ten_megabytes_is_not_read(tmp_path: Path, size: int) -> None:
    """It is refused by its size."""
    fleet = good("bots/a.toml")
    verdict = judge(tmp_path, fleet.spoiled(b"#" * size))
    assert [problem.message for problem in verdict.snapshot.problems] == ["is larger than 1024 KiB"]
    assert verdict.broken == ()


@pytest.mark.parametrize("number", range(6))
def test_the_command_says_the_same_as_the_loader(tmp_path: Path, number: int) -> None:
    """`botdeck check` on spoiled files: a line for each problem, exit code 2, no traceback."""
    chance = random.Random(f"check:{number}")
    fleet = chance.choice(fleets()[:6])
    verdict = judge(tmp_path, fleet.spoiled(spoil(chance, fleet.texts[fleet.target], 6)[0]))
    done = botdeck("check", "-C", str(tmp_path), cwd=ROOT, **ENVIRON)
    assert done.returncode == (0 if verdict.valid else 2)
    assert done.stdout.splitlines()[: len(verdict.snapshot.problems)] == [
        str(problem) for problem in Loader(tmp_path, environ=ENVIRON).load().problems
    ]
    assert "Traceback" not in done.stderr
