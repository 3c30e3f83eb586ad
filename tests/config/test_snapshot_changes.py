"""The difference of two snapshots: only bots that differ, and only what their keys need."""

from __future__ import annotations

import tomllib

from config.change import changed_keys, compare, fleet_changes
from config.keys import bot_keys
from config.schema import BotConfig
from config.vocabulary import Effect


def kinds(changes) -> dict[str, str]:
    return {change.bot_id: change.kind for change in changes}


def test_at_first_every_bot_is_added_or_rejected(folder) -> None:
    """There is nothing to compare with."""
    folder.bot("good")
    folder.bot("bad", "x = 1\n")
    changes = compare(None, folder.load())
    assert kinds(changes) == {"bad": "rejected", "good": "added"}
    assert [p.key for p in changes[0].problems] == ["x"]
    assert changes[1].spec is not None


def test_only_bots_that_differ_are_named(folder) -> None:
    """Created, deleted, renamed, edited; one left alone is not mentioned."""
    for bot_id in ("same", "gone", "old"):
        folder.bot(bot_id)
    edited = folder.bot("edited", "[llm]\ntemperature = 0.1\n")
    loader = folder.loader()
    before = loader.load()
    edited.write_text('channel = "none"\nname = "x"\n[llm]\ntemperature = 0.2\n')
    (folder.root / "bots/gone.toml").unlink()
    (folder.root / "bots/old.toml").rename(folder.root / "bots/new.toml")
    folder.bot("fresh")
    changes = compare(before, loader.load())
    assert kinds(changes) == {
        "edited": "changed",
        "fresh": "added",
        "gone": "removed",
        "new": "added",
        "old": "removed",
    }
    assert changes[0].keys == ("name", "llm.temperature")
    assert changes[0].effect is Effect.NEXT_TURN


def test_good_bad_good_costs_what_the_good_ones_differ_by(folder) -> None:
    """A half-typed edit in between is no restart."""
    path = folder.bot("a", "[limits]\nmax_lanes = 1\n")
    loader = folder.loader()
    first = loader.load()
    path.write_text("[limits\n")
    second = loader.load({path})
    (rejected,) = compare(first, second)
    assert (rejected.kind, rejected.spec, len(rejected.problems)) == ("rejected", None, 1)
    assert compare(second, loader.load()) == ()
    path.write_text('channel = "none"\n[limits]\nmax_lanes = 2\n')
    third = loader.load({path})
    (changed,) = compare(second, third)
    assert (changed.kind, changed.effect, changed.keys) == ("changed", Effect.IN_PLACE, ("limits.max_lanes",))


def test_an_edit_taken_back_is_unchanged(folder) -> None:
    """The bot learns that its configuration is current again, and nothing else is done."""
    path = folder.bot("a")
    loader = folder.loader()
    text = path.read_text()
    loader.load()
    path.write_text("x = 1\n")
    bad = loader.load()
    path.write_text(text)
    (change,) = compare(bad, loader.load())
    assert (change.kind, change.effect, change.keys) == ("unchanged", None, ())


def test_new_problems_of_a_rejected_bot_are_told_again(folder) -> None:
    """The same ones are not."""
    path = folder.bot("a", "x = 1\n")
    loader = folder.loader()
    first = loader.load()
    path.write_text("# moved\nx = 1\n")
    assert kinds(compare(first, loader.load())) == {"a": "rejected"}


def test_a_bad_file_that_is_deleted_is_removed(folder) -> None:
    """Whether it ever was good or not."""
    never, once = folder.bot("never", "x = 1\n"), folder.bot("once")
    loader = folder.loader()
    loader.load()
    once.write_text("x = 1\n")
    bad = loader.load()
    never.unlink()
    once.unlink()
    assert kinds(compare(bad, loader.load())) == {"never": "removed", "once": "removed"}


def test_a_rival_token_rejects_both_until_one_goes(folder, token) -> None:
    """The running one keeps its last good spec meanwhile, and is unchanged after."""
    text = f'channel = "telegram"\ntelegram.token = "{token}"\n'
    folder.bot("a", text)
    loader = folder.loader()
    first = loader.load()
    copy = folder.bot("b", text)
    second = loader.load()
    assert kinds(compare(first, second)) == {"a": "rejected", "b": "rejected"}
    assert second.kept.keys() == {"a"}
    copy.unlink()
    assert kinds(compare(second, loader.load())) == {"a": "unchanged", "b": "removed"}


def test_a_renamed_bot_takes_its_token_along(folder, token) -> None:
    """Seen in one load it is one removed and one added."""
    path = folder.bot("a", f'channel = "telegram"\ntelegram.token = "{token}"\n')
    loader = folder.loader()
    first = loader.load()
    path.rename(path.with_name("b.toml"))
    assert kinds(compare(first, loader.load())) == {"a": "removed", "b": "added"}


def test_a_bad_shared_file_changes_no_bot(folder) -> None:
    """Bots go on with what was good."""
    folder.bot("a")
    loader = folder.loader()
    first = loader.load()
    folder.write("fleet.toml", "[defaults.x]\n")
    second = loader.load()
    assert second.fleet_problems
    assert compare(first, second) == ()


def test_a_new_default_changes_the_bots_that_use_it(folder) -> None:
    """Those that set the key themselves are not touched."""
    folder.bot("own", "[limits]\nmax_lanes = 9\n")
    folder.bot("uses")
    loader = folder.loader()
    first = loader.load()
    folder.write("fleet.toml", "[defaults.limits]\nmax_lanes = 8\n")
    assert kinds(compare(first, loader.load())) == {"uses": "changed"}


def test_fleet_keys_that_changed_are_told_with_their_effect(folder) -> None:
    """[defaults] is not among them: its effect is that on the bots."""
    folder.write("fleet.toml", '[log]\nlevel = "info"\n')
    loader = folder.loader()
    first = loader.load()
    folder.write("fleet.toml", '[log]\nlevel = "debug"\n[fleet]\ndatabase = "x.db"\n[defaults.limits]\nmax_lanes = 1\n')
    assert fleet_changes(first, loader.load()) == (
        ("fleet.database", Effect.FLEET),
        ("log.level", Effect.IN_PLACE),
    )


def test_every_key_tells_what_its_change_takes() -> None:
    """A change of any one key of the schema is found, with the effect declared beside it."""
    for key in bot_keys().values():
        kind: dict[type, object] = {bool: not key.default, int: 7, float: 0.7, dict: {"x": 1}, str: "http://x.example"}
        value = kind.get(key.kind, "some-secret")
        if key.example and key.kind in {str, tuple, dict}:
            value = tomllib.loads(f"x = {key.example}")["x"]
        elif key.kind is int:
            value = 49 if key.default is None else key.default - 1 or 2 if key.default else 1
        elif key.item is not None:
            value = [{"name": "x"}] if "name" in key.item.model_fields else [{"model": "x"}]
        if key.choices:
            value = next(choice for choice in key.choices if choice != key.default)
        nested: object = value
        for name in reversed(key.path):
            nested = {name: nested}
        assert changed_keys(BotConfig(), BotConfig.model_validate(nested)) == ((key.dotted, key.effect),)


def test_a_default_that_is_written_out_changes_nothing(folder) -> None:
    """Equal values have equal digests, wherever they come from; other values others."""
    loader = folder.loader()
    folder.bot("a", "")
    before = loader.load()
    folder.bot("a", "[memory]\nmax_messages = 20\n[access]\nallow = []\n")
    assert compare(before, loader.load()) == ()
    folder.bot("a", "[memory]\nmax_messages = 21\n")
    assert kinds(compare(before, loader.load())) == {"a": "changed"}
