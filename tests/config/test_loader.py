"""Loading again and again: what changed is seen, what did not is not read, bad files keep what was good."""

from __future__ import annotations

import os
import sys
import tracemalloc

import pytest

from config.change import compare
from config.snapshot import Origin


def test_layers_lie_over_each_other_in_their_order(folder) -> None:
    """Built in < fleet.toml < environment < bot, key by key, and each value knows its file and line."""
    fleet = folder.write(
        "fleet.toml", '[fleet]\nenvironment = "e"\n[defaults.limits]\nmax_lanes = 1\nmax_open_updates = 1\n'
    )
    environment = folder.write("environments/e.toml", "[defaults.limits]\nmax_lanes = 2\n[r.x]\nmax_messages = 7\n")
    bot = folder.bot("a", 'limits = { max_lanes = 3 }\n[memory]\n"$resource" = "x"\ntype = "r"\n')
    spec = folder.load().bots["a"]
    assert (spec.config.limits.max_lanes, spec.config.limits.max_open_updates) == (3, 1)
    origins = spec.origins()
    assert origins["limits.max_lanes"] == Origin("bot", bot, 2, 12)
    assert origins["limits.max_open_updates"] == Origin("fleet", fleet, 5, 1)
    assert origins["memory.max_messages"] == Origin("resource", environment, 4, 1)
    assert origins["memory.type"] == Origin("default", None, 0, 0)
    (folder.root / "bots" / "a.toml").write_text('channel = "none"\n')
    spec = folder.load().bots["a"]
    assert spec.config.limits.max_lanes == 2
    assert spec.origins()["limits.max_lanes"] == Origin("environment", environment, 2, 1)


def test_every_key_of_the_schema_has_an_origin(folder) -> None:
    """Also those no file names."""
    from config.keys import bot_keys

    folder.bot("a")
    origins = folder.load().bots["a"].origins()
    assert {key.dotted for key in bot_keys().values() if not key.free} == origins.keys()


def test_a_load_without_changes_reads_nothing(folder) -> None:
    """The specs are the very same objects."""
    folder.bot("a")
    loader = folder.loader()
    first, second = loader.load(), loader.load()
    assert first.bots["a"] is second.bots["a"]
    assert compare(first, second) == ()


def test_an_edit_within_one_tick_of_the_clock_is_noticed(folder) -> None:
    """Same size, same mtime: a full load sees it by ctime or inode, a load told of the path reads it anyway."""
    path = folder.bot("a", 'name = "first"\n')
    loader = folder.loader()
    loader.load()
    before = path.stat()
    beside = path.with_name("tmp")
    beside.write_text(path.read_text().replace("first", "other"))
    os.utime(beside, ns=(before.st_atime_ns, before.st_mtime_ns))
    beside.rename(path)
    assert loader.load().bots["a"].config.name == "other"
    path.write_text(path.read_text().replace("other", "again"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert loader.load().bots["a"].config.name == "again"
    path.write_text(path.read_text().replace("again", "third"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert loader.load({path}).bots["a"].config.name == "third"


def test_only_what_is_named_as_changed_is_looked_at(folder) -> None:
    """The promise that makes one edit of a thousand cheap; a later full load finds the rest."""
    a, b = folder.bot("a"), folder.bot("b")
    loader = folder.loader()
    loader.load()
    a.write_text('channel = "none"\nname = "A"\n')
    b.write_text('channel = "none"\nname = "B"\n')
    snapshot = loader.load({a})
    assert (snapshot.bots["a"].config.name, snapshot.bots["b"].config.name) == ("A", "")
    assert loader.load().bots["b"].config.name == "B"


@pytest.mark.parametrize("told", [True, False])
def test_files_come_go_and_change_their_names(folder, told: bool) -> None:
    """Told of the paths or not."""
    loader = folder.loader()
    loader.load()
    a = folder.bot("a")
    assert list(loader.load({a} if told else None).bots) == ["a"]
    b = a.rename(a.with_name("b.toml"))
    assert list(loader.load({a, b} if told else None).bots) == ["b"]
    b.unlink()
    assert not loader.load({b} if told else None).bots


def test_a_folder_named_as_changed_stands_for_all_in_it(folder) -> None:
    """bots/, environments/ and the root."""
    loader = folder.loader(environment="e")
    environment = folder.write("environments/e.toml", "")
    folder.bot("a")
    loader.load()
    folder.bot("b")
    assert list(loader.load({folder.root / "bots"}).bots) == ["a", "b"]
    environment.write_text("[defaults.limits]\nmax_lanes = 5\n")
    assert loader.load({folder.root / "environments"}).bots["a"].config.limits.max_lanes == 5
    folder.bot("c")
    environment.write_text("[defaults.limits]\nmax_lanes = 6\n")
    assert loader.load({folder.root}).bots["c"].config.limits.max_lanes == 6


def test_what_bots_are_built_on_is_rebuilt_with_it(folder) -> None:
    """fleet.toml, the environment, .env and the process environment with it reach every bot."""
    folder.write(".env", "N=one\n")
    folder.bot("a", 'name = "${N}"\n')
    loader = folder.loader()
    assert loader.load().bots["a"].config.name == "one"
    folder.write(".env", "N=two\n")
    assert loader.load().bots["a"].config.name == "two"
    folder.environ["N"] = "three"
    folder.write(".env", "N=two\nX=1\n")
    assert loader.load({folder.root / ".env"}).bots["a"].config.name == "three"
    folder.write("fleet.toml", "[defaults.limits]\nmax_lanes = 2\n")
    assert loader.load({folder.root / "fleet.toml"}).bots["a"].config.limits.max_lanes == 2
    (folder.root / "fleet.toml").unlink()
    assert loader.load().bots["a"].config.limits.max_lanes == 32


def test_a_bad_edit_keeps_the_last_good_spec(folder) -> None:
    """The bot is not in `bots`, has problems, and what ran last is kept; a good edit ends it."""
    path = folder.bot("a", 'name = "good"\n')
    loader = folder.loader()
    good = loader.load()
    path.write_text("name = \n")
    bad = loader.load({path})
    assert not bad.bots
    assert bad.kept["a"] is good.bots["a"]
    assert [problem.bot_id for problem in bad.problems] == ["a"]
    path.write_text('channel = "none"\nname = "better"\n')
    better = loader.load({path})
    assert (better.bots["a"].config.name, better.kept, better.problems) == ("better", {}, ())
    path.unlink()
    assert loader.load({path}).kept == {}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("fleet.toml", "[defaults.limits]\nmax_lanes = 3\n", "[defaults.limits]\nmax_lanes = 0\n"),
        ("fleet.toml", "[defaults.limits]\nmax_lanes = 3\n", "[defaults.limits\n"),
        ("environments/e.toml", "[defaults.limits]\nmax_lanes = 3\n", "[defaults.limits]\nmax_lans = 1\n"),
        ("environments/e.toml", "[defaults.limits]\nmax_lanes = 3\n", None),
        (".env", "N=3\n", "'\n"),
    ],
)
def test_while_a_shared_file_is_bad_its_last_good_state_counts(folder, name: str, good: str, bad: str | None) -> None:
    """All bots stay as they were, other edits still count, and the mistake is told."""
    folder.write("fleet.toml", "")
    folder.write("environments/e.toml", "")
    path = folder.write(name, good)
    lanes = '[limits]\nmax_lanes = "${N}"\n' if name == ".env" else ""
    bot = folder.bot("a", lanes)
    loader = folder.loader(environment="e")
    assert loader.load().bots["a"].config.limits.max_lanes == 3
    if bad is None:
        path.unlink()
    else:
        path.write_text(bad)
    snapshot = loader.load({path})
    assert snapshot.bots["a"].config.limits.max_lanes == 3
    assert snapshot.fleet_problems
    bot.write_text(f'channel = "none"\nname = "new"\n{lanes}')
    snapshot = loader.load()
    assert (snapshot.bots["a"].config.name, snapshot.bots["a"].config.limits.max_lanes) == ("new", 3)
    assert snapshot.fleet_problems
    path.write_text(good.replace("3", "4"))
    snapshot = loader.load()
    assert snapshot.bots["a"].config.limits.max_lanes == 4
    assert not snapshot.problems


def test_a_folder_that_cannot_be_listed_stops_no_bot(folder) -> None:
    """It is a problem of the fleet; what was read before counts until it can be listed again."""
    folder.bot("a")
    loader = folder.loader()
    loader.load()
    (folder.root / "bots").rename(folder.root / "away")
    (folder.root / "bots").touch()
    snapshot = loader.load()
    assert list(snapshot.bots) == ["a"]
    assert [p.message for p in snapshot.fleet_problems] == ["cannot be listed: Not a directory"]
    (folder.root / "bots").unlink()
    (folder.root / "away").rename(folder.root / "bots")
    assert loader.load().problems == ()


def test_the_first_load_looks_at_everything(folder) -> None:
    """Whatever it is told has changed."""
    folder.bot("a")
    assert list(folder.loader().load(set()).bots) == ["a"]


def test_digests_tell_values_apart_secrets_included_and_nothing_else(folder) -> None:
    """Comments, order and the layer a value comes from make no difference."""
    folder.environ = {"K": "first-secret"}
    path = folder.bot("a", 'name = "x"\nllm.api_key = "${K}"\n')
    loader = folder.loader()
    first = loader.load().bots["a"].digest
    path.write_text('# c\nllm.api_key = "${K}"\nname = "${N:-x}"\nchannel = "none"\nenabled = true\n')
    assert loader.load().bots["a"].digest == first
    folder.environ["K"] = "second-secret"
    assert loader.load(renew_secrets=True).bots["a"].digest != first


def test_a_thousand_bots_cost_little_memory_each(folder) -> None:
    """At most 15 KB a spec, everything the loader keeps included."""
    text = (
        'name = "{n}"\nchannel = "none"\nclient_id = "acme"\n[telegram]\npoll_timeout_s = 50\nmax_update_age_s = 8640{n}\n'
        '[llm]\nprovider = "echo"\nmodel = "gpt-4o-mini"\nbase_url = "https://api.openai.com/v1"\napi_key = "${{K}}"\n'
        'temperature = 0.3\nmax_output_tokens = 800\ntimeout_s = 60\n[prompts]\nsystem = "You are number {n}."\n'
        '[memory]\ntype = "buffer"\nmax_messages = 20\n[reply]\nerror_text = "Sorry {n}"\n[limits]\nmax_lanes = 32\n'
    )
    folder.environ = {"K": "some-key"}
    count = 100
    for number in range(count):
        folder.bot(f"b{number}", text.format(n=number))
    folder.load()
    tracemalloc.start()
    try:
        loader = folder.loader()
        snapshot = loader.load()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(snapshot.bots) == count
    assert used / count < 15_000, f"{used / count:.0f} bytes a bot on {sys.version}"
