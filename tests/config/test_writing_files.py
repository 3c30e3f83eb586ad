"""Writing a bot file and a secret: whole or not at all, nothing overwritten, nothing shown."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.dotenv import read_dotenv
from config.errors import ConfigError
from config.vocabulary import Secret
from config.write import remember_secret, remove_bot, variable_for, write_bot

VALUES = {"name": "Ünï", "telegram": {"token": "${A_TOKEN}"}, "prompts": {"system": "two\nlines"}}


def test_a_written_bot_loads(folder, token) -> None:
    """bots/ is made when there is none; what was asked for is what counts."""
    (folder.root / "bots").rmdir()
    remember_secret(folder.root, "A_TOKEN", Secret(token))
    path = write_bot(folder.root, "a", VALUES)
    assert tomllib.loads(path.read_text()) == VALUES
    assert path.stat().st_mode & 0o777 == 0o644
    snapshot = folder.load()
    assert not snapshot.problems + snapshot.warnings
    assert snapshot.bots["a"].config.prompts.system == "two\nlines"


def test_an_existing_bot_is_never_overwritten(folder) -> None:
    """Not even by a write that comes between looking and writing."""
    path = folder.bot("a")
    before = path.read_text()
    with pytest.raises(ConfigError, match="exists already"):
        write_bot(folder.root, "a", VALUES)
    assert path.read_text() == before
    assert [p.name for p in path.parent.iterdir()] == ["a.toml"]


@pytest.mark.parametrize("bot_id", ["../evil", "A", "", "_fleet", "a" * 51])
def test_a_name_that_is_none_is_refused(folder, bot_id: str) -> None:
    """And nothing is written."""
    with pytest.raises(ConfigError, match="cannot name a bot"):
        write_bot(folder.root, bot_id, VALUES)
    assert not list((folder.root / "bots").iterdir())


def test_values_no_bot_file_may_hold_are_refused_by_key(folder) -> None:
    """The keys are named, the values are not."""
    with pytest.raises(
        ConfigError, match=r"cannot hold this: llm.modle, limits.max_lanes|limits.max_lanes, llm.modle"
    ) as caught:
        write_bot(folder.root, "a", {"llm": {"modle": "hunter2"}, "limits": {"max_lanes": 0}})
    assert "hunter2" not in str(caught.value)


def test_a_removed_bot_is_gone_and_gone_again_is_no_error(folder) -> None:
    """The answer tells whether there was one."""
    folder.bot("a")
    assert remove_bot(folder.root, "a")
    assert not remove_bot(folder.root, "a")


def test_a_secret_is_appended_for_its_owner_only(folder) -> None:
    """Mode 0600 whatever it was; the other lines stay as they were, links are kept."""
    real = folder.write("real.env", "# mine\nexport A='1'")
    real.chmod(0o644)
    (folder.root / ".env").symlink_to("real.env")
    remember_secret(folder.root, "B_TOKEN", Secret("1:x"))
    assert real.read_text() == "# mine\nexport A='1'\nB_TOKEN=1:x\n"
    assert real.stat().st_mode & 0o777 == 0o600
    assert (folder.root / ".env").is_symlink()
    assert {p.name for p in folder.root.iterdir()} == {"bots", "real.env", ".env"}


def test_a_name_already_set_is_kept_unless_asked(folder) -> None:
    """The same value is no error, another one is; replaced, there is one line of it."""
    remember_secret(folder.root, "A", Secret("one"))
    remember_secret(folder.root, "A", Secret("one"))
    with pytest.raises(ConfigError, match="sets A already"):
        remember_secret(folder.root, "A", Secret("hunter2"))
    remember_secret(folder.root, "A", Secret("two"), replace=True)
    assert (folder.root / ".env").read_text() == "A=two\n"


@pytest.mark.parametrize(("name", "secret"), [("1A", "x"), ("A B", "x"), ("", "x"), ("A", "x\ny"), ("A", "x\0")])
def test_what_dotenv_cannot_hold_is_refused(folder, name: str, secret: str) -> None:
    """A bad name, a line end; the secret is not quoted."""
    with pytest.raises(ConfigError):
        remember_secret(folder.root, name, Secret(secret))
    assert not (folder.root / ".env").exists()


@given(st.text(min_size=1, max_size=30).filter(str.isprintable), st.sampled_from(["", "A=1", "A='1'\n"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_secret_is_read_back_as_it_was(folder, secret: str, before: str) -> None:
    """Quotes, backslashes, dollars, hashes and blanks included; what stood there is still there."""
    path = folder.write(".env", before)
    remember_secret(folder.root, "B", Secret(secret))
    dotenv = read_dotenv(path)
    assert not dotenv.problems
    assert dotenv.values == {"B": secret} | ({"A": "1"} if before else {})


def test_a_folder_that_cannot_be_written_is_one_clear_error(folder) -> None:
    """The path and the reason."""
    (folder.root / "bots").rmdir()
    (folder.root / "bots").touch()
    with pytest.raises(ConfigError, match=r"bots cannot be written: File exists"):
        write_bot(folder.root, "a", VALUES)


def test_a_variable_is_named_after_its_bot() -> None:
    """Always a name a variable may have."""
    assert variable_for("support") == "SUPPORT_TOKEN"
    assert variable_for("my-bot_2") == "MY_BOT_2_TOKEN"
    assert variable_for("7up") == "BOT_7UP_TOKEN"
