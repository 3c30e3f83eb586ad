"""What a console remembers, the operator's own keys, and what a clipboard takes."""

from __future__ import annotations

import json
from pathlib import Path

from console.tui.catalogue import bindings
from console.tui.clipboard import LIMIT_BYTES, capped
from console.tui.keys import own_keys
from console.tui.memory import FILE, HISTORY, Memory, state_home


def test_settings_come_back(tmp_path: Path) -> None:
    """Sort, theme and typed lines are there again; the file is its owner's only."""
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    memory = Memory.of(tmp_path / "fleet", environ)
    memory.put(sort="p95", reverse=True)
    memory.typed("jump", "shop")
    memory.typed("jump", "poet")
    memory.typed("jump", "shop")
    again = Memory.of(tmp_path / "fleet", environ)
    assert (again.text("sort"), again.flag("reverse"), again.history("jump")) == ("p95", True, ["poet", "shop"])
    assert again.folder is not None
    assert (again.folder / FILE).stat().st_mode & 0o077 == 0
    assert [file.name for file in again.folder.iterdir()] == [FILE]
    assert Memory.of(tmp_path / "other", environ).text("sort", "worst") == "worst"


def test_a_damaged_or_strange_file_is_forgotten(tmp_path: Path) -> None:
    """What is wrong with the file costs the memory, never the console."""
    (tmp_path / FILE).write_text("{")
    assert Memory(tmp_path).text("sort", "worst") == "worst"
    (tmp_path / FILE).write_text(json.dumps({"sort": 7, "reverse": "x", "history.jump": {"a": 1}}))
    memory = Memory(tmp_path)
    assert (memory.text("sort", "worst"), memory.flag("reverse"), memory.history("jump")) == ("worst", False, [])


def test_a_folder_that_cannot_be_written_is_told_not_raised(tmp_path: Path) -> None:
    """The console works without a memory."""
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "below")
    memory.put(sort="p95")
    assert memory.text("sort") == "p95"
    assert memory.fault


def test_history_is_bounded() -> None:
    """Old lines go."""
    memory = Memory(None)
    for number in range(HISTORY + 5):
        memory.typed("fleet", f"line {number}")
    memory.typed("fleet", "  ")
    assert memory.history("fleet")[0] == "line 5"
    assert len(memory.history("fleet")) == HISTORY


def test_state_lies_in_the_home_where_nothing_else_is_said() -> None:
    """A relative path in the environment is no path."""
    assert state_home({"XDG_STATE_HOME": "relative"}).is_absolute()


def test_own_keys_are_checked(tmp_path: Path) -> None:
    """Good lines count, bad ones are named, Ctrl+Z is refused: it would stop every bot."""
    common, own = tmp_path / "common.toml", tmp_path / "own.toml"
    common.write_text('"bot.restart" = "f5"\n"bot.stop" = "ctrl+x"\n')
    own.write_text(
        '"bot.restart" = "ctrl+r,f6"\n"bot.restat" = "a"\n"bot.start" = "nonsense+"\n"bot.pause" = "ctrl+z"\n'
    )
    keymap, mistakes = own_keys([common, own, tmp_path / "none.toml"])
    assert keymap == {"bot.restart": "ctrl+r,f6", "bot.stop": "ctrl+x"}
    assert len(mistakes) == 3
    assert "did you mean bot.restart?" in mistakes[0]
    own.write_text("=")
    assert len(own_keys([own])[1]) == 1


def test_every_binding_has_one_id_and_no_one_stops_the_process() -> None:
    """Ids are what keys.toml names; Ctrl+Z is never bound."""
    found = bindings()
    assert {"bot.restart", "fleet.filter", "log.wrap", "console.help", "list.mark_range"} <= {b.id for b in found}
    assert not [b for b in found if "ctrl+z" in b.key.split(",")]
    assert not [b for b in found if not b.description]


def test_a_clipboard_takes_only_so_much() -> None:
    """The newest whole lines that fit are kept, and it is said that they are not all."""
    assert capped("short") == ("short", 5, True)
    text = "\n".join(f"line {n} ä" for n in range(20_000))
    cut = capped(text)
    assert not cut.whole
    assert cut.size == len(cut.text.encode()) <= LIMIT_BYTES
    assert text.endswith(cut.text)
    assert cut.text.startswith("line ")
