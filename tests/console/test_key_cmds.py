"""key add, list and revoke, as typed, against a fleet that runs and one that does not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from store.keys import KEY_PATTERN
from tests.operated import World, finish

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("w"))
    made.add_bot("alpha")
    yield made
    made.end()


def test_without_a_fleet_and_with_one(world: World) -> None:
    """The same words and exit codes; what was made before the start is good after it, and revoked everywhere."""
    assert world.cli("key", "list").stdout == "there is no key\n"
    done = world.cli("key", "add", "early", "--scope", "read")
    assert (done.returncode, bool(re.fullmatch(KEY_PATTERN, done.stdout.strip()))) == (0, True)
    assert "shown this once" in done.stderr
    world.start()
    made = json.loads(
        world.cli("key", "add", "shop", "--scope", "operate", "--client", "c1", "--days", "30", "--json").stdout
    )
    assert (made["client_id"], made["scope"], made["good"]) == ("c1", "operate", True)
    shown = world.cli("key", "list").stdout
    assert shown.split("\n")[0].split() == ["NAME", "ID", "SCOPE", "CLIENT", "STATE", "LAST", "USED", "MADE", "BY"]
    assert [line.split()[0] for line in shown.strip().split("\n")[1:]] == ["early", "shop"]
    assert made["key"] not in shown
    assert world.cli("key", "add", "shop", "--scope", "read").returncode == 2
    assert world.cli("key", "add", "x", "--scope", "all").returncode == 2
    assert world.cli("key", "revoke", "nobody").returncode == 4
    assert "is revoked" in world.cli("key", "revoke", made["key_id"]).stdout
    assert world.fleet is not None
    finish(world.fleet)
    assert world.cli("key", "revoke", "early").returncode == 0
    assert world.cli("key", "list").stdout == "there is no key\n"
    rows = json.loads(world.cli("key", "list", "--all", "--json").stdout)
    assert [(row["name"], row["good"], row["revoked_at"] is not None) for row in rows] == [
        ("early", False, True),
        ("shop", False, True),
    ]
    assert world.cli("key", "revoke", "nobody").returncode == 4
