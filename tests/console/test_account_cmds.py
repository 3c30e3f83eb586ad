"""usage and profile, as typed, against a fleet that runs and one that does not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.operated import World, finish

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("w"))
    made.add_bot("alpha")
    made.start()
    made.ask("alpha", "where is my parcel?", 501)
    yield made
    made.end()


def test_usage_is_shown_and_said_to_be_unknown(world: World) -> None:
    """A table with a total, or JSON; exit codes of what cannot be."""
    done = world.cli("usage", "alpha", "--by", "user")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split("\n")[0].split() == ["BOT", "USER", "CALLS", "IN", "CACHED", "OUT", "USD"]
    assert "501" in done.stdout
    assert "total" in done.stdout
    (row,) = json.loads(world.cli("usage", "--json").stdout)
    assert (row["bot_id"], row["calls"], row["cost"], row["unpriced"]) == ("alpha", 1, 0.0, 0)
    assert world.cli("usage", "nobody").returncode == 4
    assert world.cli("usage", "--by", "shoe").returncode == 2


def test_a_profile_is_edited(world: World) -> None:
    """Facts go in and out; what is no fact is refused before anything is written."""
    assert world.cli("profile", "alpha", "501").stdout == "nothing is known\n"
    done = world.cli("profile", "alpha", "501", "--set", "name=Ann", "--set", "sum=1=1")
    assert (done.returncode, "1=1" in done.stdout) == (0, True)
    facts = json.loads(world.cli("profile", "alpha", "501", "--unset", "sum", "--json").stdout)
    assert [(fact["fact"], fact["value"]) for fact in facts] == [("name", "Ann")]
    assert world.cli("profile", "alpha", "501", "--set", "nothing").returncode == 2
    assert world.cli("profile", "alpha", "501", "--set", f"long={'x' * 501}").returncode == 2
    assert world.cli("profile", "nobody", "501").returncode == 4


def test_without_a_fleet_usage_is_read_from_its_database(world: World) -> None:
    """The same rows; a profile is the running fleet's to edit."""
    running = world.cli("usage", "--by", "model", "--json").stdout
    assert world.fleet is not None
    finish(world.fleet)
    assert world.cli("usage", "--by", "model", "--json").stdout == running
    assert world.cli("profile", "alpha", "501").returncode != 0
