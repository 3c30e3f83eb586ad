"""What strangers write comes to their model and back as they wrote it, and never raw to an operator's terminal."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.cli import TREE, run
from console.output import print_json, print_json_line, say, say_lines, table
from store.database import Store
from store.turns import TurnRecord
from store.usage import Tokens
from tests.hostile.texts import HOSTILE, is_quiet
from workers.channels.incoming import clean
from workers.channels.split import LIMIT_UTF16, split, utf16_length
from workers.logbook import Logbook, installed
from workers.redaction import Redactor

ANY = st.one_of(st.text(st.characters(codec=None), max_size=200), st.sampled_from(sorted(HOSTILE.values())))
pages = settings(max_examples=150, deadline=None)


class Stdout(io.TextIOWrapper):
    """A stdout in some encoding, read back."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict", write_through=True)

    def text(self) -> str:
        raw = self.buffer
        assert isinstance(raw, io.BytesIO)
        return raw.getvalue().decode(self.encoding)


@given(text=ANY)
@pages
def test_nothing_that_is_said_steers_a_terminal(text: str) -> None:
    """One line stays one; several lines have as many as they had."""
    with redirect_stdout(Stdout()) as out:
        say(text)
    assert is_quiet(out.text())
    assert out.text().count("\n") == 1
    with redirect_stdout(Stdout()) as out:
        say_lines(text)
    assert is_quiet(out.text())
    assert is_quiet(table(("A", "B"), [(text, 1), ("x", text)]))


@given(text=ANY)
@pages
def test_json_is_valid_whatever_stands_in_it(text: str) -> None:
    """It reads back as what it was, and is as quiet as the rest, in any encoding."""
    for encoding in ("utf-8", "ascii", "latin-1"):
        for show in (print_json, print_json_line):
            with redirect_stdout(Stdout(encoding)) as out:
                show({text: [text]})
            assert is_quiet(out.text())
            assert json.loads(out.text()) == json.loads(json.dumps({text: [text]}))


@given(text=ANY, form=st.sampled_from(["human", "json"]))
@pages
def test_no_log_line_steers_a_terminal_or_passes_for_another(text: str, form: str) -> None:
    """Of messages, their arguments, exceptions and what is told beside."""
    stream = io.StringIO()
    logger = logging.getLogger("hostile")
    with installed(Logbook(Redactor(), form=form, stream=stream)):
        try:
            raise RuntimeError(text)
        except RuntimeError:
            logger.exception("said %s", text, extra={"by": text})
    written = stream.getvalue()
    assert is_quiet(written)
    first, *rest = written.rstrip("\n").split("\n")
    assert all(line.startswith("    ") for line in rest)
    assert form == "human" or json.loads(first)


@given(text=ANY)
@pages
def test_parts_of_an_answer_can_be_sent(text: str) -> None:
    """Each fits, can be encoded, holds something to see; together they say what was said."""
    parts = split(text * 60)
    for part in parts:
        assert part == part.encode().decode()
        assert "\0" not in part
        assert 0 < utf16_length(part) <= LIMIT_UTF16
    said, sent = ("".join(clean(t).split()) for t in (text * 60, "".join(parts)))
    assert sent == said or parts == ["…"] or len(sent) < len(said)


def test_a_megabyte_is_split_soon() -> None:
    """Of marks without any place to cut, too."""
    for unit in ("a", "a\u0300", "\U0001f468\u200d", "\u0300", "\U0001f1e6"):
        assert len(split(unit * (1_000_000 // len(unit)))) < 1000


# --- every command ---------------------------------------------------------------------------------------------

EVIL = "".join(text for name, text in HOSTILE.items() if name != "surrogate")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet whose every text is hostile: folder, names, values, mistakes, events, log lines."""
    root = tmp_path_factory.mktemp("r") / "f\x1b[31m\u202ex"
    (root / "bots").mkdir(parents=True)
    quoted = json.dumps(EVIL).replace("\\ud", "?").replace("\x7f", "?")
    (root / "fleet.toml").write_text(f"[fleet]\nname = {quoted}\n")
    good = f'channel = "none"\nname = {quoted}\nclient_id = {quoted}\n[llm]\nmodel = {quoted}\n[prompts]\nsystem = {quoted}\n'
    (root / "bots" / "good.toml").write_text(good)
    (root / "bots" / "bad.toml").write_text(f"{quoted} = {quoted}\nchannel = {quoted}\n")
    (root / "bots" / "n\x1b[2Jm\udcff.toml").write_text("")
    anyio.run(_fill, root)
    return root


async def _fill(root: Path) -> None:
    async with await Store.open(root / "botdeck.db", now_ms=1) as store:
        text = clean(EVIL)
        await store.partition("good").state.save(1, phase="running", phase_reason=text, username=text, telegram_id=1)
        turn = TurnRecord(None, "", text, text, text, "answered", text, text, Tokens(text, text, 1, 1))
        await store.partition("good").record_turn(turn, 1)
        await store.append_logs([("good", 1000, 40, "x", text, text)])
        await store.append_events([("good", 1000, "BotInvalid", json.dumps({"reason": text, text: [text]}), text)])


def commands() -> Iterator[tuple[str, ...]]:
    """Yield every command line that shows something of a fleet that does not run."""
    for name in (
        "check",
        "status",
        "logs",
        "events",
        "doctor --no-network",
        "bot list",
        "bot info good",
        "bot info bad",
        "usage",
        "usage good --by user",
        "usage good --by model",
        "conversations good",
    ):
        yield tuple(name.split())
    yield from (("config", "show", bot) for bot in ("good", "bad", "n\x1b[2J"))
    yield from (
        ("config", "show", "good", "--origin"),
        ("bot", "info", EVIL.replace("\0", "")),
        ("start", "good\x1b[2J"),
    )
    yield from (
        ("backup", "x\x1b[2J/y"),
        ("bot", "export", "good", "e\x1b[2J"),
        ("nothing\x1b[2J",),
        ("logs", "--since", "\x1b[2J"),
    )


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["human", "json"])
@pytest.mark.parametrize("command", tuple(commands()), ids=lambda words: ascii(" ".join(words))[:30])
def test_no_command_lets_a_strangers_text_steer_the_terminal(
    fleet: Path, command: tuple[str, ...], form: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of any text there is, on stdout and on stderr; --json reads back."""
    monkeypatch.chdir(fleet)
    with redirect_stdout(Stdout()) as out, redirect_stderr(Stdout()) as err:
        code = run([*command, *form])
    assert is_quiet(out.text()), out.text()
    assert is_quiet(err.text()), err.text()
    if form and code in {0, 3, 4} and out.text():
        for document in [out.text()] if command[0] not in {"logs", "events"} else out.text().splitlines():
            json.loads(document)


def test_every_command_that_shows_something_is_tried() -> None:
    """A command that is new belongs into the list, or here with the reason."""
    tried = {words[0] for words in commands()}
    elsewhere = {
        "init",
        "run",
        "attach",
        "watch",
        "serve",
        "demo",
        "sandbox",
        "completion",
    }  # tests of paths, of the screen
    alike = {"stop", "restart", "pause", "resume", "reset"}  # one code with start
    own = {
        "reload",
        "edit",
        "say",
        "profile",
        "access",
        "pair",
        "key",
    }  # they need a fleet that runs: tests beside them
    assert set(TREE) - tried - elsewhere - alike - own <= {""}
