"""Bots in somebody else's application: the manager injected, errors in our form, everything closed at the end."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import aiohttp
import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from console.web import embed
from console.web.embed import (
    APIError,
    BotContext,
    BotCreationError,
    BotManager,
    BotManagerDep,
    BotNotFoundError,
    ConfigurationError,
    ConversationNotFoundError,
    RateLimitError,
    ValidationError,
    close_bot_manager,
    get_bot_manager,
    init_bot_manager,
    register_exception_handlers,
    reset_bot_manager,
)
from tests.console.api_rig import free_port
from tests.waiting import eventually, eventually_sync

ROOT = Path(__file__).resolve().parents[2]
ECHO = {"llm": {"provider": "echo"}}


@pytest.fixture(autouse=True)
def none_is_left() -> Iterator[None]:
    """No test leaves a manager behind, nor a thread of its database."""
    before = set(threading.enumerate())
    yield
    assert embed._Place.manager is None
    eventually_sync(lambda: not [t for t in threading.enumerate() if t not in before and not t.daemon])


def test_the_complete_example_runs() -> None:
    """Two tenants of two bots; a bot that is removed, one that is not there, one nobody knows."""
    with pytest.warns(DeprecationWarning, match="on_event"):
        from tests.console.embedded_app import app

    with TestClient(app, raise_server_exceptions=False) as client:
        said = {"message": "hello", "conversation_id": "c", "client_id": "acme", "user_id": "u"}
        answer = client.post("/bots/support/chat", json=said)
        assert answer.json() == {"response": "hello", "conversation_id": "c"}
        assert client.post("/bots/sales/chat", json=said | {"client_id": "globex"}).status_code == 200
        assert client.get("/bots").json() == {"bots": ["support", "sales"], "count": 2}
        assert client.delete("/bots/sales").json() == {"removed": True, "bot_id": "sales"}
        missing = client.delete("/bots/sales")
        assert missing.status_code == 404
        assert missing.json().keys() == {"error", "message", "detail", "timestamp"}
        assert missing.json()["error"] == "BotNotFoundError"
        assert missing.json()["detail"]["bot_id"] == "sales"
        assert datetime.fromisoformat(missing.json()["timestamp"]).tzinfo is not None
        refused = client.post("/bots/support/chat", json={"message": 5})
        assert (refused.status_code, refused.json()["error"]) == (422, "ValidationError")
        unknown = client.post("/bots/nobody/chat", json=said)
        assert (unknown.status_code, unknown.json()["error"]) == (500, "APIError")
        assert "Unknown bot" not in unknown.text
    assert embed._Place.manager is None


@pytest.mark.anyio
async def test_the_process_of_the_example_ends_by_itself() -> None:
    """A hook that cannot wait is enough: the loop closes the database before it ends, and no thread holds the process."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "tests.console.embedded_app", str(port)]
    async with await anyio.open_process(command, cwd=ROOT, stdout=None, stderr=None) as process:
        async with aiohttp.ClientSession() as session:

            async def answered() -> bool:
                said = {"message": "hello", "conversation_id": "c", "client_id": "a"}
                try:
                    async with session.post(f"http://127.0.0.1:{port}/bots/support/chat", json=said) as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await eventually(answered)
        process.send_signal(signal.SIGINT)
        with anyio.fail_after(20):
            assert await process.wait() in {0, -signal.SIGINT, 130}


def test_there_is_one_manager() -> None:
    """Before it is made and while there is one, asking for it and making it are mistakes that say what to do."""
    with pytest.raises(RuntimeError, match="init_bot_manager"):
        get_bot_manager()
    made = init_bot_manager()
    assert get_bot_manager() is made
    with pytest.raises(RuntimeError, match="reset_bot_manager"):
        init_bot_manager()
    reset_bot_manager()
    reset_bot_manager()


@pytest.mark.anyio
async def test_closing_waits(tmp_path: Path) -> None:
    """Its database is closed when `close_bot_manager` returns, also what `reset_bot_manager` left to the loop."""
    for end in (close_bot_manager, _reset):
        manager = init_bot_manager(database=tmp_path / "bots.db")
        bot = await manager.get_or_create("a", ECHO)
        await bot.chat("hello", BotContext("c"))
        await end()
        again = init_bot_manager(database=tmp_path / "bots.db")
        assert await (await again.get_or_create("a", ECHO)).get_conversation(BotContext("c")) is not None
        await close_bot_manager()


async def _reset() -> None:
    reset_bot_manager()
    await close_bot_manager()


def test_a_lifespan_and_every_error() -> None:
    """The newer hooks; each class has its status, its name and its detail; causes are not told."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        init_bot_manager()
        yield
        await close_bot_manager()

    app = FastAPI(lifespan=lifespan)
    register_exception_handlers(app)
    raised: dict[str, tuple[Exception, int]] = {
        "APIError": (APIError("no"), 500),
        "BotNotFoundError": (BotNotFoundError("b"), 404),
        "ConversationNotFoundError": (ConversationNotFoundError("c"), 404),
        "ValidationError": (ValidationError("no", {"field": "x"}), 422),
        "RateLimitError": (RateLimitError("slow down", 3), 429),
        "BotCreationError": (BotCreationError("b", "a secret cause"), 500),
        "ConfigurationError": (ConfigurationError("b", "a secret cause"), 500),
    }

    @app.get("/raise/{name}")
    async def fail(name: str) -> None:
        raise raised[name][0]

    @app.post("/bots/{bot_id}")
    async def create(bot_id: str, config: dict, manager: BotManagerDep) -> dict[str, object]:
        try:
            await manager.get_or_create(bot_id, config=config)
        except Exception as error:
            raise BotCreationError(bot_id, str(error)) from error
        return {"bot_id": bot_id, "created": isinstance(manager, BotManager)}

    with TestClient(app, raise_server_exceptions=False) as client:
        for name, (_, status) in raised.items():
            answer = client.get(f"/raise/{name}")
            assert (answer.status_code, answer.json()["error"]) == (status, name)
            assert "secret" not in answer.text
        assert client.get("/raise/RateLimitError").headers["retry-after"] == "3"
        assert client.post("/bots/a", json=ECHO).json() == {"bot_id": "a", "created": True}
        bad = client.post("/bots/b", json={"llm": {"provider": "nobody"}})
        assert (bad.status_code, bad.json()["error"]) == (500, "BotCreationError")
        assert "nobody" not in bad.text
        assert client.get("/nothing").json().keys() == {"error", "message", "detail", "timestamp"}
