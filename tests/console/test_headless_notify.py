"""What a service manager is told."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from console.notify import Notifier


@pytest.fixture
def listener(tmp_path: Path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(tmp_path / "notify"))
        channel.settimeout(5)
        yield channel


def test_a_message_is_one_datagram(listener: socket.socket) -> None:
    """Assignments go out as lines of one datagram."""
    notifier = Notifier({"NOTIFY_SOCKET": listener.getsockname()})
    assert notifier.listening
    notifier.send("READY=1", "STATUS=3 of 3 bots running")
    assert listener.recv(1000) == b"READY=1\nSTATUS=3 of 3 bots running"


def test_abstract_addresses_are_understood() -> None:
    """systemd may name an address in the abstract namespace, written with @."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0botdeck-test-{os.getpid()}")
        channel.settimeout(5)
        Notifier({"NOTIFY_SOCKET": f"@botdeck-test-{os.getpid()}"}).send("READY=1")
        assert channel.recv(100) == b"READY=1"


def test_nobody_listens(tmp_path: Path) -> None:
    """Without NOTIFY_SOCKET nothing is sent; a listener that is gone is no failure."""
    quiet = Notifier({})
    quiet.send("READY=1")
    assert not quiet.listening
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).send("READY=1")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({}, None),
    ],
)
def test_signs_of_life_come_twice_as_often_as_asked(environ: dict[str, str], expected: float | None) -> None:
    """The watchdog is fed at half of its interval, when it is meant for this process."""
    assert Notifier(environ).watchdog_s == expected
