"""What is no bot's file comes into the folder of a running fleet, and goes: `python -m tests.hostile.strangers FOLDER`.

Run by root it becomes another user before it begins: nothing is unreadable to root. Says "unharmed" at the end.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import anyio

from config.vocabulary import Phase
from console.runtime import Fleet, open_fleet
from store.events import BotStarted, BotStopped, ConfigRejected
from tests.waiting import eventually

GOOD: Final = 'channel = "none"\nname = "{}"\n'


def _unreadable(path: Path) -> None:
    path.write_text(GOOD.format("hidden"), encoding="utf-8")
    path.chmod(0)


STRANGERS: Final[dict[str, tuple[Callable[[Path], object], str]]] = {
    "pipe": (os.mkfifo, "is a pipe"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "is a link that points nowhere"),
    "circle": (lambda path: path.symlink_to(path.name), "leads back to itself"),
    "folder": (Path.mkdir, "is a folder"),
    "unreadable": (_unreadable, "may not be read"),
}


async def come_and_go(root: Path, kinds: Iterable[str]) -> None:
    """Have each of them come as a new file and in place of a running bot's, and go: told once each, and nobody is harmed."""
    bots = root / "bots"
    bots.mkdir()
    old, new = {f"old-{kind}": kind for kind in kinds}, {f"new-{kind}": kind for kind in kinds}
    (root / "elsewhere").write_text(GOOD.format("linked"))
    for bot_id in ("good", *old):
        (bots / f"{bot_id}.toml").write_text(GOOD.format(bot_id))
    async with open_fleet(root, serve=False, quiet=True) as fleet:
        await eventually(lambda: _running(fleet) == {"good", *old})
        with fleet.bus.subscribe(1000) as heard:
            (bots / "link.toml").symlink_to(root / "elsewhere")
            for bot_id, kind in (old | new).items():
                (bots / f"{bot_id}.toml").unlink(missing_ok=True)
                STRANGERS[kind][0](bots / f"{bot_id}.toml")
            await eventually(lambda: _told(fleet) == _expected(old | new) and _running(fleet) == {"good", "link", *old})
            await eventually(lambda: set(new) <= {status.bot_id for status in fleet.pool.bots()})
            _remove(bots, [*old, *new, "link"])
            for bot_id in old:
                (bots / f"{bot_id}.toml").write_text(GOOD.format(bot_id))
            await eventually(lambda: not fleet.reloader.latest.problems and not fleet.reloader.snapshot.problems)
            await eventually(lambda: {status.bot_id for status in fleet.pool.bots()} == {"good", *old})
            events = heard.take()
    assert Counter(e.bot_id for e in events if isinstance(e, ConfigRejected)) == dict.fromkeys(old | new, 1)
    assert {e.bot_id for e in events if isinstance(e, BotStarted | BotStopped)} == {"link", *new}, "nobody else"


def _remove(bots: Path, bot_ids: Iterable[str]) -> None:
    for bot_id in bot_ids:
        path = bots / f"{bot_id}.toml"
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        else:
            path.unlink()


def _expected(strangers: dict[str, str]) -> dict[str | None, str]:
    return {bot_id: STRANGERS[kind][1] for bot_id, kind in strangers.items()}


def _told(fleet: Fleet) -> dict[str | None, str]:
    """Return what is said of each bot's file in what is applied, and where; once each."""
    problems = fleet.reloader.snapshot.problems
    assert len({problem.bot_id for problem in problems}) == len(problems)
    assert all(f"bots/{problem.bot_id}.toml" in str(problem) for problem in problems)
    words = [each for _, each in STRANGERS.values()]
    return {p.bot_id: next((each for each in words if each in p.message), p.message) for p in problems}


def _running(fleet: Fleet) -> set[str]:
    return {status.bot_id for status in fleet.pool.bots() if status.phase is Phase.RUNNING}


def main() -> None:
    """Try what root cannot."""
    if os.getuid() == 0:
        with tempfile.TemporaryDirectory() as made:  # whatever it imports, it imports as root
            _try(Path(made), "pipe")
        os.setuid(65534)
    _try(Path(sys.argv[1]), *STRANGERS)
    print("unharmed")


def _try(root: Path, *kinds: str) -> None:
    anyio.run(come_and_go, root, kinds, backend_options={"use_uvloop": True})


if __name__ == "__main__":
    main()
