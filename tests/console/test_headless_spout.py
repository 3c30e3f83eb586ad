"""Nobody waits for whoever reads stderr."""

from __future__ import annotations

import os
import threading

from console.spout import CAPACITY, Spout


def drain(descriptor: int, into: list[bytes]) -> None:
    while piece := os.read(descriptor, 65536):
        into.append(piece)


def test_what_is_written_arrives_in_order() -> None:
    """A reader that reads gets every line."""
    reading, writing = os.pipe()
    with Spout(writing) as spout:
        for number in range(1000):
            spout.write(f"{number}\n")
        spout.write("ä\udcff\n")
    os.close(writing)
    got: list[bytes] = []
    drain(reading, got)
    os.close(reading)
    lines = b"".join(got).decode().splitlines()
    assert lines == [*map(str, range(1000)), "ä\\udcff"]


def test_a_pipe_nobody_reads_stops_nobody() -> None:
    """Writing goes on; when the reader comes back it is told what it missed, and gets the newest lines."""
    reading, writing = os.pipe()
    spout = Spout(writing)
    line = "x" * 99 + "\n"
    for _ in range(CAPACITY * 3):
        spout.write(line)
    spout.write("the last\n")
    got: list[bytes] = []
    reader = threading.Thread(target=drain, args=(reading, got))
    reader.start()
    with spout:
        pass
    os.close(writing)
    reader.join()
    os.close(reading)
    text = b"".join(got).decode()
    assert text.endswith("the last\n")
    assert "lines were left out" in text


def test_a_reader_that_is_gone_is_no_failure() -> None:
    """A closed pipe ends the writing, not the fleet."""
    reading, writing = os.pipe()
    os.close(reading)
    with Spout(writing) as spout:
        spout.write("x")
        spout.write("y")
    os.close(writing)
