"""What docs/api.md shows is run as it stands: curl, Python, OpenAI's client, an application of one's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi.testclient import TestClient

from tests.console.api_rig import Api, serving

pytestmark = pytest.mark.anyio

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
ADDRESS = "127.0.0.1:8765"
OWN_APP = "FastAPI(lifespan=lifespan)"


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f") as running:
        root = running.fleet.place.root / "bots"
        (root / "support.toml").write_text('channel = "none"\n[llm]\nprovider = "echo"\n')
        await running.fleet.control.reload(actor="test")
        yield running


async def test_every_example_works_in_its_order(api: Api) -> None:
    """One fleet, one key, from the top of the page to its end."""
    key, known = await api.key("admin"), dict[str, Any]()
    known["KEY"] = key

    def run(kind: str, text: str) -> None:
        text = text.replace(ADDRESS, f"127.0.0.1:{api.port}")
        if kind == "sh":
            command = ["bash", "-euo", "pipefail", "-c", text]
            done = subprocess.run(command, env=os.environ | {"KEY": key}, capture_output=True, text=True, timeout=30)
            assert done.returncode == 0, (text, done.stdout, done.stderr)
        elif kind == "python" and OWN_APP not in text:
            exec(compile(text, str(PAGE), "exec"), known)

    for kind, text in BLOCKS:
        await anyio.to_thread.run_sync(run, kind, text)
    known["client"].close()
    assert {kind for kind, _ in BLOCKS} == {"toml", "console", "sh", "json", "python", "yaml"}
    assert sum(kind == "sh" for kind, _ in BLOCKS) >= 5


def test_an_application_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the last section, served."""
    monkeypatch.chdir(tmp_path)
    [text] = [text for kind, text in BLOCKS if kind == "python" and OWN_APP in text]
    known: dict[str, Any] = {"__name__": "shown"}
    exec(compile(text, str(PAGE), "exec", dont_inherit=True), known)
    with TestClient(known["app"]) as client:
        answer = client.post("/chat/anybody", params={"message": "hello", "client_id": "acme"})
        assert answer.json() == "hello"


async def test_every_route_of_programs_is_described(api: Api) -> None:
    """OpenAPI names bodies, fields and answers, also of the two routes that read their body by hand; references lead somewhere."""
    document = (await api.ask("GET", "/v1/openapi.json")).body
    chat = document["paths"]["/v1/bots/{bot_id}/chat"]["post"]
    assert set(_schema(chat)["properties"]) >= {"message", "conversation_id", "client_id", "user_id", "stream"}
    assert "text/event-stream" in chat["responses"]["200"]["content"]
    completions = _schema(document["paths"]["/v1/chat/completions"]["post"])
    assert completions["properties"]["messages"]["items"]["properties"]["role"]["enum"]
    for reference in set(re.findall(r'"\$ref": ?"#/([^"]+)"', json.dumps(document))):
        found: Any = document
        for name in reference.split("/"):
            found = found[name]
    for path in ("/v1/bots/{bot_id}/registrations/diff", "/v1/bots/{bot_id}/reload", "/v1/models"):
        assert path in document["paths"]


def _schema(route: Any) -> Any:
    return route["requestBody"]["content"]["application/json"]["schema"]
