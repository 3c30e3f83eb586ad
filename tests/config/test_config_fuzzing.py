"""Whatever stands in the files, loading gives problems with places, never a traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.change import compare
from config.keys import bot_keys
from config.load import Loader
from config.show import as_json

GOOD_BOT = """\
name = "Support"
channel = "none"
[telegram]
token = "${TOKEN}"
base_url = "https://api.telegram.org/bot"
[llm]
"$resource" = "default"
type = "providers"
"$requires" = ["chat"]
temperature = 0.3
options = { delay_s = 0.1, list = [1, "two", { three = 3 }] }
[prompts]
system = \"\"\"
You are "${NAME:-nobody}".
\"\"\"
"""
GOOD_FLEET = """\
[fleet]
name = "x"
environment = "e"
[defaults.llm]
timeout_s = 5
[start]
rate_per_s = 2.5
"""
GOOD_ENVIRONMENT = """\
[providers.default]
provider = "echo"
capabilities = ["chat"]
[providers.other]
"$resource" = "default"
type = "providers"
[defaults.memory]
max_messages = 3
"""
ENVIRON = {"TOKEN": "100001:" + "A" * 35}
CHARACTERS = st.sampled_from(
    [*list("[]{}\"'=.,#$\\\n\r\t -:0aZé\x00\x7f\u202e"), "${", '"""', "[[", "$resource", "1e999", "nan"]
)

quick = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@st.composite
def mutated(draw: st.DrawFn, text: str) -> str:
    """Return text with a few pieces cut, doubled, swapped or put in."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.just(""), CHARACTERS, st.just(text[start:end] * 2)))
        text = text[:start] + piece + text[end:]
    return text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("bots", "environments"):
        (tmp_path / name).mkdir()
    return tmp_path


def load_all(root: Path, bot: str, fleet: str = GOOD_FLEET, environment: str = GOOD_ENVIRONMENT) -> None:
    """Load, and hold what comes out against what is promised of it."""
    texts = {"bots/a.toml": bot, "fleet.toml": fleet, "environments/e.toml": environment}
    for name, text in texts.items():
        (root / name).write_text(text, encoding="utf-8", newline="")
    snapshot = Loader(root, environ=ENVIRON).load()
    for problem in snapshot.problems + snapshot.warnings:
        assert str(problem).replace(str(root), "").isprintable()
        name = str(problem.file.relative_to(root))
        lines = texts.get(name, "").split("\n")
        assert 0 <= problem.line <= len(lines)
        if problem.line:
            assert 1 <= problem.column <= len(lines[problem.line - 1]) + 2
    if snapshot.problems:
        assert "a" not in snapshot.bots
    else:
        as_json(snapshot.bots["a"], snapshot.secrets)
    compare(None, snapshot)


def test_the_good_files_are_good(root: Path) -> None:
    """Else the mutations would prove little."""
    load_all(root, GOOD_BOT)
    assert not Loader(root, environ=ENVIRON).load().problems


@given(text=mutated(GOOD_BOT))
@quick
def test_no_mutation_of_a_bot_file_is_a_traceback(root: Path, text: str) -> None:
    """Each problem has a place within its file."""
    load_all(root, text)


@given(fleet=mutated(GOOD_FLEET), environment=mutated(GOOD_ENVIRONMENT))
@quick
def test_no_mutation_of_a_shared_file_is_a_traceback(root: Path, fleet: str, environment: str) -> None:
    """Of fleet.toml and of an environment."""
    load_all(root, GOOD_BOT, fleet, environment)


@given(text=st.text(max_size=80))
@quick
def test_no_text_is_a_traceback(root: Path, text: str) -> None:
    """Anything UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    load_all(root, text, text, text)


@given(raw=st.binary(max_size=60))
@quick
def test_no_bytes_are_a_traceback(root: Path, raw: bytes) -> None:
    """Anything a disk can hold, .env included."""
    for name in ("bots/a.toml", "fleet.toml", ".env"):
        (root / name).write_bytes(raw)
    assert Loader(root, environ={}).load().root == root


NAMES = st.sampled_from(
    sorted({str(name) for path in bot_keys() for name in path} | {"$resource", "$requires", "type", "modle", "ключ"})
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.integers(-2, 60),
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
def test_no_well_formed_nonsense_is_a_traceback(root: Path, data: dict[str, Any]) -> None:
    """Right names with wrong values, wrong names, tables where values belong."""
    import tomli_w

    text = tomli_w.dumps(data)
    load_all(
        root,
        text,
        GOOD_FLEET,
        "[providers.default]\n" + "".join(f"{line}\n" for line in text.split("\n") if "[" not in line),
    )
