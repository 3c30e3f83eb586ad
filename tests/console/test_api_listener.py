"""Where the API is served: bound, moved and given up while the bots go on."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from console.web import listener
from tests.console.api_rig import Api, free_port, serving
from tests.waiting import eventually

pytestmark = pytest.mark.anyio


@pytest.fixture
async def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(listener, "LOOK_S", 0.02)
    async with serving(tmp_path / "f") as running:
        yield running


def problem(api: Api) -> str:
    """Return why the API is not served, as `botdeck status` shows it."""
    return " ".join(api.fleet.control.fleet_row()["config_errors"])


def bots_go_on(api: Api) -> bool:
    """Tell whether the one bot was neither stopped nor restarted."""
    status = api.fleet.pool.bot("echo")
    return (status.phase, status.restarts) == ("running", 0)


async def test_it_moves_without_a_restart(api: Api) -> None:
    """Another address: served there, and no more here."""
    await eventually(lambda: api.fleet.pool.bot("echo").phase == "running")
    since, old = api.fleet.pool.bot("echo").since, api.port
    api.port = free_port()
    await api.configure()
    await eventually(lambda: api.fleet.listener is not None and str(api.fleet.listener.served).endswith(str(api.port)))
    assert (await api.ask("GET", "/healthz")).status == 200
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", old)) != 0
    assert api.fleet.pool.bot("echo").since == since
    await api.configure(listen="")
    await eventually(lambda: api.fleet.listener is not None and api.fleet.listener.served is None)
    assert problem(api) == ""
    assert bots_go_on(api)


async def test_an_address_in_use_is_one_error(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    """Said once, shown as long as it lasts; when the address is free the API is there."""
    await eventually(lambda: api.fleet.pool.bot("echo").phase == "running")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        api.port = other.getsockname()[1]
        await api.configure()
        await eventually(lambda: "in use" in problem(api))
        assert f"127.0.0.1:{api.port}" in problem(api)
        looked = api.fleet.listener
        assert looked is not None
        await eventually(lambda: "in use" in looked.problem)
    await eventually(lambda: looked.served is not None)
    assert problem(api) == ""
    assert len([r for r in caplog.records if "the API is not served: " in r.message]) == 1
    assert (await api.ask("GET", "/healthz")).status == 200
    assert bots_go_on(api)


async def test_beyond_this_machine_it_needs_a_key(api: Api) -> None:
    """Refused without one; served as soon as there is one, given up when the last is revoked."""
    api.port = free_port()
    for host in ("0.0.0.0", "[::]"):
        await api.configure(listen=f"{host}:{api.port}")
        await eventually(lambda: "there is no key" in problem(api))
        assert "botdeck key add" in problem(api)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", api.port)) != 0
    await api.configure(listen=f"0.0.0.0:{api.port}")
    key, server = await api.key("read"), api.fleet.listener
    assert server is not None
    await eventually(lambda: server.served is not None)
    assert (await api.ask("GET", "/v1/bots", key=key)).status == 200
    await api.configure(listen=f"0.0.0.0:{api.port}", anonymous="admin")
    await api.fleet.control.key_revoke("read-all", actor="test")
    await eventually(lambda: server.served is None)
    assert "there is no key" in problem(api)


async def test_an_address_that_is_none_says_so(api: Api) -> None:
    """A host that is not this machine's."""
    await api.key("read")
    await api.configure(listen=f"192.0.2.1:{free_port()}")
    await eventually(lambda: "192.0.2.1" in problem(api))
    assert bots_go_on(api)


async def test_it_ends_with_the_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streams are cut, the port is free, nothing is left running."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with serving(tmp_path / "f") as api:
        port, session = api.port, api.session
        key = await api.key("read")
        stream = await session.get(f"{api.url}/v1/feed", headers={"Authorization": f"Bearer {key}"})
        assert await stream.content.readline()
        stream.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
