"""`botdeck edit`: checked before it is saved, asked about, and nothing typed is ever lost."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.editing import with_marks, without_marks
from tests.operated import World
from tests.terminals import Terminal

pytestmark = pytest.mark.timeout(90)

GOOD = 'channel = "none"\n[llm]\nprovider = "echo"\n'
BETTER = GOOD + '[prompts]\nsystem = "Be brief."\n'
BAD = GOOD + "[llmm]\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("w"))
    made.add_bot("other")
    made.start()
    yield made
    made.end()


@pytest.fixture(params=["running", "resting"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A fleet's folder with the bot alpha, of a fleet that runs or does not."""
    world = request.getfixturevalue("world") if request.param == "running" else None
    made: Path = world.root if world else tmp_path / "fleet"
    (made / "bots").mkdir(parents=True, exist_ok=True)
    (made / "bots" / "alpha.toml").write_text(GOOD)
    if world:
        assert world.cli("reload").returncode == 0
    return made


class Editor:
    """An editor that puts one text after another into what it is given, and keeps what it saw."""

    def __init__(self, folder: Path, *texts: str) -> None:
        self.folder = folder
        for number, text in enumerate(texts):
            (folder / f"{number}.in").write_text(text)
        self.program = folder / "editor.py"
        self.program.write_text(
            "import pathlib, sys\n"
            "here, file = pathlib.Path(__file__).parent, pathlib.Path(sys.argv[-1])\n"
            "turn = len(list(here.glob('*.seen')))\n"
            "(here / f'{turn}.seen').write_text(file.read_text())\n"
            "(here / 'mode').write_text(oct(file.stat().st_mode))\n"
            "file.write_text((here / f'{turn}.in').read_text())\n"
        )

    @property
    def seen(self) -> list[str]:
        """What was opened, in order."""
        return [path.read_text() for path in sorted(self.folder.glob("*.seen"))]

    @property
    def environment(self) -> dict[str, str]:
        """What makes it the operator's editor; copies lie in a folder of the test."""
        (self.folder / "copies").mkdir(exist_ok=True)
        return {"VISUAL": f"{sys.executable} {self.program}", "TMPDIR": str(self.folder / "copies")}

    @property
    def kept(self) -> list[Path]:
        """The copies that are left."""
        return list((self.folder / "copies").iterdir())


def run(world: World, root: Path, editor: Editor, *arguments: str, bot: str = "alpha") -> tuple[int, str, str]:
    from tests.operated import botdeck

    done = botdeck("edit", bot, "-C", str(root), *arguments, XDG_RUNTIME_DIR=str(world.runtime), **editor.environment)
    return done.returncode, done.stdout, done.stderr


def test_a_good_text_is_shown_and_saved(world: World, root: Path, tmp_path: Path) -> None:
    """The difference is shown, the file is as typed, and no copy is left; nobody else could read the copy."""
    editor = Editor(tmp_path, BETTER)
    code, output, errors = run(world, root, editor, "--yes")
    assert (code, editor.seen) == (0, [GOOD])
    assert '+system = "Be brief."' in output
    assert (root / "bots" / "alpha.toml").read_text() == BETTER
    assert editor.kept == []
    assert stat.S_IMODE(int((tmp_path / "mode").read_text(), 8)) == 0o600
    if root == world.root:
        assert "next turn" in errors


def test_the_file_all_bots_share_is_edited_by_its_name(world: World, root: Path, tmp_path: Path) -> None:
    """`edit fleet.toml`: its mistakes have file, line and column; a good text is saved, and applied where a fleet runs."""
    path = root / "fleet.toml"
    before = path.read_text() if path.exists() else ""
    try:
        code, _, errors = run(
            world, root, Editor(_folder(tmp_path, "bad"), f"{before}[strat]\n"), "--yes", bot="fleet.toml"
        )
        assert code == 2
        assert re.search(r"fleet\.toml:\d+:\d+: strat", errors)
        better = before + '[defaults.prompts]\nsystem = "Be brief."\n'
        code, output, _ = run(world, root, Editor(_folder(tmp_path, "good"), better), "--yes", bot="fleet.toml")
        assert (code, path.read_text()) == (0, better)
        assert "saved" in output
        assert root != world.root or "next turn" in output
    finally:
        path.write_text(before)


def _folder(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_nothing_changed_is_nothing_done(world: World, root: Path, tmp_path: Path) -> None:
    """No question, no copy."""
    editor = Editor(tmp_path, GOOD)
    code, output, errors = run(world, root, editor)
    assert (code, output, errors, editor.kept) == (0, "", "nothing changed\n", [])


def test_a_mistake_without_a_terminal_keeps_what_was_typed(world: World, root: Path, tmp_path: Path) -> None:
    """Exit 2 with the place; the file is as it was; the message names the copy, which holds every word."""
    editor = Editor(tmp_path, BAD)
    code, _, errors = run(world, root, editor, "--yes")
    assert code == 2
    assert re.search(r"alpha\.toml:4:\d+: llmm", errors)
    assert (root / "bots" / "alpha.toml").read_text() == GOOD
    [copy] = editor.kept
    assert str(copy) in errors
    assert without_marks(copy.read_text()) == BAD


def test_without_a_terminal_saving_needs_yes(world: World, root: Path, tmp_path: Path) -> None:
    """What cannot be asked is not done, and not lost."""
    editor = Editor(tmp_path, BETTER)
    code, _, errors = run(world, root, editor)
    assert code == 2
    assert "--yes" in errors
    assert (root / "bots" / "alpha.toml").read_text() == GOOD
    assert [copy.read_text() for copy in editor.kept] == [BETTER]


def test_an_editor_that_fails_saves_nothing(world: World, root: Path, tmp_path: Path) -> None:
    """One that ends with an error, or does not exist, leaves file and no rubbish."""
    for editor, words in (("false", "exit code 1"), ("/no/such/editor", "cannot be run")):
        made = Editor(tmp_path, BETTER)
        environment = made.environment | {"VISUAL": editor}
        from tests.operated import botdeck

        done = botdeck("edit", "alpha", "-C", str(root), XDG_RUNTIME_DIR=str(world.runtime), **environment)
        assert done.returncode == 2
        assert words in done.stderr
        assert (root / "bots" / "alpha.toml").read_text() == GOOD
        assert made.kept == []


def test_on_a_terminal_a_mistake_is_opened_again_and_mended(world: World, root: Path, tmp_path: Path) -> None:
    """The mistakes stand on top of what was typed; mended, it is asked about and saved without them."""
    editor = Editor(tmp_path, BAD, BETTER)
    terminal = Terminal.botdeck(
        "edit", "alpha", "-C", str(root), XDG_RUNTIME_DIR=str(world.runtime), **editor.environment
    )
    try:
        terminal.until("save it?")
        terminal.keys("y\r")
        assert terminal.ended() == 0
    finally:
        terminal.end()
    again = editor.seen[1]
    assert again.startswith("#! ")
    assert re.search(r"^#! .*alpha\.toml:4:\d+: llmm", again, re.MULTILINE)
    assert without_marks(again) == BAD
    assert (root / "bots" / "alpha.toml").read_text() == BETTER
    assert editor.kept == []


def test_on_a_terminal_a_no_keeps_what_was_typed(world: World, root: Path, tmp_path: Path) -> None:
    """The file is as it was, and the copy is named."""
    editor = Editor(tmp_path, BETTER)
    terminal = Terminal.botdeck(
        "edit", "alpha", "-C", str(root), XDG_RUNTIME_DIR=str(world.runtime), **editor.environment
    )
    try:
        terminal.until("save it?")
        terminal.keys("n\r")
        assert terminal.ended() == 130
    finally:
        terminal.end()
    assert "what you typed is kept in" in terminal.text
    assert (root / "bots" / "alpha.toml").read_text() == GOOD
    assert [copy.read_text() for copy in editor.kept] == [BETTER]


def test_a_file_changed_meanwhile_is_not_overwritten(world: World, root: Path, tmp_path: Path) -> None:
    """Somebody else's words stay, and so do ours."""
    editor = Editor(tmp_path, BETTER)
    target = root / "bots" / "alpha.toml"
    with editor.program.open("a") as program:
        program.write(f"pathlib.Path({os.fspath(target)!r}).write_text({GOOD + '# theirs'!r})\n")
    code, _, errors = run(world, root, editor, "--yes")
    assert code == 1
    assert "changed meanwhile" in errors
    assert target.read_text() == f"{GOOD}# theirs"
    assert [copy.read_text() for copy in editor.kept] == [BETTER]


def test_a_bot_that_is_not_there_is_said(world: World, root: Path, tmp_path: Path) -> None:
    """No editor is opened for it."""
    from tests.operated import botdeck

    editor = Editor(tmp_path, BETTER)
    done = botdeck("edit", "nobody", "-C", str(root), XDG_RUNTIME_DIR=str(world.runtime), **editor.environment)
    assert done.returncode in {2, 4}
    assert editor.seen == []


@pytest.mark.parametrize("text", ["", "a = 1\n", "#! mine\na = 1", "# first\r\n\r\nx = '''\n#! in\n'''"])
def test_marks_come_off_as_they_went_on(text: str) -> None:
    """What is below them is as it was, to the last line end; a line of that form the operator wrote on top is a comment less."""
    marked = with_marks(text, ["one\ntwo", "three \x1b[2J"])
    assert "\x1b" not in marked
    assert without_marks(marked) == text.removeprefix("#! mine\n")
