"""SIGKILL at exact points of a commit, in a process of its own: what was acknowledged is there, the file is whole."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from store.database import Store
from tests.store.filling import NOW_MS, query

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]

CHILD = '''
"""Writes turns of many bots at once, says which are acknowledged, and stands still at the point named."""
import asyncio, sys, threading
from pathlib import Path
from store.database import Store
from store.writer import Writer
from tests.store.filling import NOW_MS, converse

POINT, AFTER = sys.argv[2], int(sys.argv[3])
seen = 0

def say(word):
    sys.stdout.write(word + "\\n")
    sys.stdout.flush()

def stand_still(*_):
    say("here")
    threading.Event().wait()

def at(statement):
    global seen
    begins = {"before commit": "COMMIT", "in a group": "INSERT INTO messages"}.get(POINT, "-")
    if statement.startswith(begins):
        seen += 1
        if seen > AFTER:
            stand_still()

async def talk(store, bot_id):
    number = 0
    while True:
        number += 1
        await converse(store, bot_id, number)
        say(f"{bot_id} {number}")

async def main():
    store = await Store.open(Path(sys.argv[1]), now_ms=NOW_MS)
    writer = store._writer
    if POINT == "after commit":
        ours = writer._still_ours
        def committed():
            ours()
            at("-")
        writer._still_ours = committed
    elif POINT == "in a checkpoint":
        import store.jobs as module
        module.CHECKPOINT_JOBS = 40
        checkpoint = writer._checkpoint
        def half():
            at("-")
            checkpoint()
        writer._checkpoint = half
    else:
        await writer.write(lambda connection: connection.set_trace_callback(at))
    await asyncio.gather(*(talk(store, f"bot{n}") for n in range(8)))

asyncio.run(main())
'''


@pytest.mark.parametrize("point", ["in a group", "before commit", "after commit", "in a checkpoint"])
async def test_a_kill_loses_nothing_acknowledged(path: Path, point: str) -> None:
    """Killed inside a transaction, right before or right after its commit, or at a checkpoint.

    Every turn that was acknowledged is whole, at most one per bot beyond it is, and none is half there.
    """
    after = 1 if point == "in a checkpoint" else 25
    acknowledged = killed_at(path, point, after)
    store = await Store.open(path, now_ms=NOW_MS)
    assert store.unclean
    assert await store.integrity_check() == []
    states = {state.bot_id: state.turns for state in await store.states()}
    await store.close()
    assert set(acknowledged) <= set(states)
    for bot_id, turns in states.items():
        assert acknowledged.get(bot_id, 0) <= turns <= acknowledged.get(bot_id, 0) + 1
        assert query(path, "SELECT count(*) FROM messages WHERE bot_id = ?", bot_id) == [(2 * turns,)]
        assert query(path, "SELECT count(*) FROM usage WHERE bot_id = ?", bot_id) == [(turns,)]
        assert query(path, "SELECT count(*) FROM outbox WHERE bot_id = ?", bot_id) == [(turns,)]
        finished = "SELECT count(*) FROM updates WHERE bot_id = ? AND outcome = 'answered'"
        assert query(path, finished, bot_id) == [(turns,)]


def killed_at(path: Path, point: str, after: int) -> dict[str, int]:
    """Run the child until it stands still, kill it; return the last turn acknowledged per bot."""
    command = [sys.executable, "-c", CHILD, str(path), point, str(after)]
    acknowledged: dict[str, int] = {}
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line == "here\n":
                child.send_signal(signal.SIGKILL)
            else:
                bot_id, number = line.split()
                acknowledged[bot_id] = int(number)
    assert child.returncode == -signal.SIGKILL
    return acknowledged
