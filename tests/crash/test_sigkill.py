"""SIGKILL at the exact moments that hurt: mid-poll, mid-model, mid-send, mid-reload. Nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.sandbox.bots import SandboxBot
from console.sandbox.server import Sandbox
from tests.fleet_process import FleetProcess, fleet_process, query, write_bot
from tests.waiting import eventually

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(90)]

CHAT = 501


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox() as double:
        yield double


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[FleetProcess]:
    async with fleet_process(tmp_path) as process:
        yield process


def bot_of(sandbox: Sandbox, fleet: FleetProcess, **sections: dict[str, object]) -> SandboxBot:
    bot = sandbox.add_bot()
    write_bot(fleet.root, "support", bot.token, sandbox.base_url, **sections)
    return bot


def model_section(sandbox: Sandbox) -> dict[str, object]:
    return {"provider": "openai", "model": "double", "base_url": sandbox.model_url, "api_key": "sk-double-key"}


def answers(bot: SandboxBot) -> list[str]:
    return [sent.text for sent in bot.sent if sent.method == "sendMessage"]


def assert_settled(root: Path, *, turns: int) -> None:
    """The books are closed: every update answered once, every send finished, history alternating, file whole."""
    assert query(root, "SELECT count(*) FROM updates WHERE outcome IS NULL") == [(0,)]
    assert query(root, "SELECT count(*) FROM updates WHERE outcome = 'answered'") == [(turns,)]
    assert query(root, "SELECT count(*) FROM outbox WHERE state IN ('pending', 'attempting')") == [(0,)]
    assert query(root, "SELECT count(*) FROM usage") == [(turns,)]
    roles = [role for (role,) in query(root, "SELECT role FROM messages ORDER BY seq")]
    assert roles == ["user", "assistant"] * turns
    assert query(root, "PRAGMA integrity_check") == [("ok",)]


async def settled(root: Path) -> None:
    await eventually(
        lambda: (
            query(root, "SELECT count(*) FROM outbox WHERE state IN ('pending', 'attempting')") == [(0,)]
            and query(root, "SELECT count(*) FROM updates WHERE outcome IS NULL") == [(0,)]
        )
    )


async def test_killed_after_the_server_gave_updates_but_before_they_were_committed(
    sandbox: Sandbox, fleet: FleetProcess
) -> None:
    """The answer to a poll dies on the wire: the server still has the updates, the next process answers them once."""
    bot = bot_of(sandbox, fleet)
    fault = bot.faults.fail("getUpdates", "hold_after", times=1)
    for n in range(3):
        bot.say(CHAT, f"m{n}")
    await fleet.started()
    await fault.reached()
    await fleet.kill()
    fault.release()
    await fleet.started()
    await eventually(lambda: len(answers(bot)) == 3)
    await settled(fleet.root)
    assert answers(bot) == ["m0", "m1", "m2"]
    assert_settled(fleet.root, turns=3)


async def test_killed_between_the_commit_and_the_poll_that_acknowledges_it(
    sandbox: Sandbox, fleet: FleetProcess
) -> None:
    """The acknowledging poll never arrives: the server sends the same updates again, they are recognised."""
    bot = bot_of(sandbox, fleet)
    bot.say(CHAT, "first")
    bot.say(CHAT, "second")
    fault = bot.faults.fail("getUpdates", "hang", times=1, after=1)
    await fleet.started()
    await fault.reached()
    await eventually(lambda: len(answers(bot)) == 2)
    await settled(fleet.root)
    await fleet.kill()
    bot.faults.clear()
    assert bot.pending == 2
    await fleet.started()
    bot.say(CHAT, "third")
    await eventually(lambda: len(answers(bot)) == 3)
    await settled(fleet.root)
    assert answers(bot) == ["first", "second", "third"]
    assert_settled(fleet.root, turns=3)


async def test_killed_while_the_model_thinks(sandbox: Sandbox, fleet: FleetProcess) -> None:
    """The model's answer never reached us: it is asked again, one answer goes out, in order with what came later."""
    bot = bot_of(sandbox, fleet, llm=model_section(sandbox))
    fault = sandbox.model.faults.fail("chat", "hold", times=1)
    bot.say(CHAT, "one")
    bot.say(CHAT, "two")
    await fleet.started()
    await fault.reached()
    await fleet.kill()
    fault.release()
    await fleet.started()
    await eventually(lambda: len(answers(bot)) == 2)
    await settled(fleet.root)
    assert len(set(answers(bot))) == 2
    assert_settled(fleet.root, turns=2)


@pytest.mark.parametrize(
    ("moment", "policy", "seen"),
    [("hang", "resend", 1), ("hold_after", "resend", 2), ("hold_after", "skip", 1), ("hang", "skip", 0)],
)
async def test_killed_while_a_send_is_in_flight(
    sandbox: Sandbox, fleet: FleetProcess, moment: str, policy: str, seen: int
) -> None:
    """The one honest doubt: counted, treated by policy; the model is not asked again whatever happens."""
    bot = bot_of(sandbox, fleet, llm=model_section(sandbox), telegram={"ambiguous_send": policy})
    fault = bot.faults.fail("sendMessage", moment, times=1)
    bot.say(CHAT, "hello")
    await fleet.started()
    await fault.reached()
    await fleet.kill()
    bot.faults.clear()
    asked = sandbox.model.call_count
    await fleet.started()
    await settled(fleet.root)
    assert sandbox.model.call_count == asked == 1
    assert len(answers(bot)) == seen
    assert len(set(answers(bot))) <= 1
    assert query(fleet.root, "SELECT ambiguous_sends FROM bots WHERE bot_id = 'support'") == [(1,)]
    assert_settled(fleet.root, turns=1)


async def test_killed_while_a_changed_file_drains_the_bot(sandbox: Sandbox, fleet: FleetProcess) -> None:
    """A drained restart is under way with a turn in flight: after the kill the turn is answered once, by the new file."""
    bot = bot_of(sandbox, fleet, llm=model_section(sandbox))
    fault = sandbox.model.faults.fail("chat", "hold", times=1)
    bot.say(CHAT, "hello")
    await fleet.started()
    await fault.reached()
    section = model_section(sandbox) | {"model": "newer"}
    write_bot(
        fleet.root, "support", bot.token, sandbox.base_url + "", llm=section,
        telegram={"base_file_url": sandbox.base_file_url},
    )  # fmt: skip
    phase = "SELECT phase FROM bots WHERE bot_id = 'support'"
    await eventually(lambda: query(fleet.root, phase) == [("draining",)])
    await fleet.kill()
    fault.release()
    await fleet.started()
    await eventually(lambda: len(answers(bot)) == 1)
    await settled(fleet.root)
    assert query(fleet.root, "SELECT model FROM usage") == [("newer",)]
    assert_settled(fleet.root, turns=1)


async def test_sigterm_leaves_no_doubt(sandbox: Sandbox, fleet: FleetProcess) -> None:
    """Asked to end, a fleet finishes the turn in flight: no ambiguous send, nothing open, exit code 0."""
    bot = bot_of(sandbox, fleet, llm=model_section(sandbox))
    fault = sandbox.model.faults.fail("chat", "hold", times=1)
    bot.say(CHAT, "hello")
    await fleet.started()
    await fault.reached()
    assert fleet.process is not None
    fleet.process.terminate()
    phase = "SELECT phase FROM bots WHERE bot_id = 'support'"
    await eventually(lambda: query(fleet.root, phase) == [("draining",)])
    fault.release()
    assert await fleet.ended() == 0
    assert len(answers(bot)) == 1
    assert query(fleet.root, "SELECT ambiguous_sends FROM bots WHERE bot_id = 'support'") == [(0,)]
    assert_settled(fleet.root, turns=1)
