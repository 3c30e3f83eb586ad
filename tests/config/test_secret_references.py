"""Secrets from files and commands: fetched, bounded, cached, and never quoted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from config import references
from config.references import ReferenceFailed, References
from tests.waiting import eventually_sync


@pytest.fixture
def fetch(tmp_path: Path) -> References:
    return References(tmp_path, dict(os.environ))


def command_fails(fetch: References, *argv: str) -> str:
    with pytest.raises(ReferenceFailed) as caught:
        fetch.command(Path("owner"), argv)
    assert "hunter2" not in str(caught.value)
    return caught.value.message


def test_a_secret_comes_from_a_file_without_its_last_line_end(folder, token) -> None:
    """Relative paths start at the fleet's folder, variables may stand in them."""
    folder.environ = {"DIR": "secrets"}
    folder.write("secrets/token", token + "\n")
    folder.bot("a", 'channel = "telegram"\ntelegram.token = "file:${DIR}/token"\n')
    config = folder.load().bots["a"].config
    assert config.telegram.token is not None
    assert config.telegram.token.reveal() == token


def test_a_secret_comes_from_a_command_without_a_shell(folder, token) -> None:
    """Words are split before variables are put in: nothing in a variable is a further word or a shell's."""
    folder.environ = {"PATH": os.environ["PATH"], "X": "a b; echo $HOME"}
    folder.bot("a", "llm.api_key = 'cmd:printf \"%s|%s\" ${X} z'\n")
    config = folder.load().bots["a"].config
    assert config.llm.api_key is not None
    assert config.llm.api_key.reveal() == "a b; echo $HOME|z"


def test_what_a_variable_holds_is_never_a_command(folder) -> None:
    """The prefix counts in the file only."""
    folder.environ = {"KEY": "cmd:touch owned"}
    folder.bot("a", 'llm.api_key = "${KEY}"\n')
    config = folder.load().bots["a"].config
    assert config.llm.api_key is not None
    assert config.llm.api_key.reveal() == "cmd:touch owned"
    assert not (folder.root / "owned").exists()


def test_commands_that_fail_are_told_apart(fetch: References) -> None:
    """Missing, failing, silent, not text, too much: one sentence each, without what was printed."""
    assert command_fails(fetch, "no-such-program") == (
        "the command no-such-program cannot be run: No such file or directory"
    )
    assert command_fails(fetch, "sh", "-c", "echo hunter2; exit 3") == "the command sh ended with code 3"
    assert command_fails(fetch, "true") == "the command true gave nothing"
    assert command_fails(fetch, "printf", r"hunter2\377") == "the command printf printed no UTF-8"
    assert command_fails(fetch, "yes", "hunter2") == "the command yes printed more than 64 KiB"
    assert command_fails(fetch) == "cmd: names no command"
    assert command_fails(fetch, "echo", "a\0b").startswith("the command echo cannot be run")


def test_a_command_that_hangs_is_killed_with_its_children(
    fetch: References, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After the limit neither it nor what it started is alive."""
    monkeypatch.setattr(references, "COMMAND_LIMIT_S", 1.0)
    message = command_fails(fetch, "sh", "-c", "sleep 60 & echo $! > child; wait")
    assert message == "the command sh took longer than 1 s"
    child = int((tmp_path / "child").read_text())
    stat = Path(f"/proc/{child}/stat")
    eventually_sync(lambda: not stat.exists() or stat.read_text().rsplit(")", 1)[1].split()[0] == "Z")


def test_a_child_left_in_the_background_is_not_waited_for(fetch: References) -> None:
    """An agent that keeps the pipe open does not cost the time limit."""
    assert fetch.command(Path("owner"), ["sh", "-c", "sleep 20 & echo hunter22"]) == "hunter22"


def test_files_that_fail_are_told_apart(fetch: References, tmp_path: Path) -> None:
    """Missing, empty, too large: one sentence each."""
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "large").write_text("x" * 70_000)
    said = []
    for name in ("gone", "empty", "large"):
        with pytest.raises(ReferenceFailed) as caught:
            fetch.file(fetch.path_of(name))
        said.append(caught.value.message.replace(str(tmp_path), "."))
    assert said == [
        "the file ./gone does not exist, or is a link that points nowhere",
        "the file ./empty gave nothing",
        "the file ./large is larger than 64 KiB",
    ]


def counted(folder) -> int:
    path = folder.root / "count"
    return len(path.read_text()) if path.exists() else 0


COUNT = "cmd:sh -c 'printf x >> count; echo secret-$(wc -c < count)'"


def test_a_command_runs_again_only_when_its_reason_changed(folder) -> None:
    """Its file or .env changed, or it is asked for; not for other files, nor other loads."""
    folder.environ = {"PATH": os.environ["PATH"]}
    a = folder.bot("a", f'llm.api_key = "{COUNT}"\n')
    b = folder.bot("b")
    loader = folder.loader()
    loader.load()
    loader.load()
    b.write_text('channel = "none"\nname = "B"\n')
    loader.load()
    folder.write("fleet.toml", "[defaults.limits]\nmax_lanes = 3\n")
    assert loader.load().bots["a"].config.limits.max_lanes == 3
    assert counted(folder) == 1
    a.write_text(a.read_text() + '\n[reply]\nerror_text = "x"\n')
    loader.load({a})
    assert counted(folder) == 2
    folder.write(".env", "X=1\n")
    loader.load({folder.root / ".env"})
    assert counted(folder) == 3
    snapshot = loader.load(renew_secrets=True)
    assert counted(folder) == 4
    assert "secret-4" in snapshot.secrets


def test_a_command_of_a_shared_resource_runs_once_for_all_bots(folder) -> None:
    """A thousand bots of one provider cost one command."""
    folder.environ = {"PATH": os.environ["PATH"]}
    folder.write("environments/e.toml", f'[llms.x]\napi_key = "{COUNT}"\n')
    for number in range(20):
        folder.bot(f"b{number}", '[llm]\n"$resource" = "x"\ntype = "llms"\n')
    snapshot = folder.load(environment="e")
    assert (len(snapshot.bots), counted(folder)) == (20, 1)


def test_a_secret_file_that_changed_is_read_again(folder) -> None:
    """Seen by a full load, and by a load told of that path; a bot file need not change."""
    key = folder.write("key", "first-key\n")
    folder.bot("a", 'llm.api_key = "file:key"\n')
    loader = folder.loader()
    digest = loader.load().bots["a"].digest
    key.write_text("second-key\n")
    snapshot = loader.load()
    assert snapshot.bots["a"].digest != digest
    assert snapshot.secrets == {"second-key"}
    key.write_text("third-key!\n")
    assert loader.load({key}).secrets == {"third-key!"}
