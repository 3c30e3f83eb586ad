"""What of a run gets into the document: whole pieces only, kept ones too, and what is left out is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench import pieces
from tests.bench.pieces import Piece, keep, load, why_unfit
from tests.bench.table import BEGIN, END, write_document

HTTP = {"per_core_s": 900, "steady_p99_ms": 12.0, "mixed": {"failed": 0, "tasks_left": 0, "rss_gained_kib": 10}}


def piece(figures: dict[str, object], *, quick: bool = False, day: str = "2030-01-02") -> Piece:
    return Piece(figures, quick, day, 90.0, "2 cores")


@pytest.mark.parametrize(
    ("kept", "names", "quick", "told"),
    [
        ({}, ["http"], False, ""),
        ({"turns": piece({})}, ["http"], False, ""),
        ({"many": piece({}, quick=True)}, ["http"], False, ""),
        ({"turns": piece({}, quick=True)}, ["turns"], False, ""),
        ({"turns": piece({}, quick=True)}, ["http"], False, "kept of a quick run: turns"),
        ({}, ["http"], True, "a quick run"),
        ({}, ["many"], False, "no piece of the table"),
    ],
)
def test_quick_pieces_are_never_written(kept: dict[str, Piece], names: list[str], quick: bool, told: str) -> None:
    reason = why_unfit(kept, names, quick=quick)
    assert told in reason
    assert bool(told) == bool(reason)


def test_pieces_are_kept_with_how_they_were_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "LATEST", tmp_path / "results" / "latest.json")
    assert load() == {}
    both = {"http": piece(HTTP), "turns": piece({}, quick=True)}
    keep(both)
    assert load() == both


def test_a_table_of_some_pieces_says_what_it_is_without(tmp_path: Path) -> None:
    document = tmp_path / "performance.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_document({"http": piece(HTTP), "model": piece({}, day="2030-01-03")}, document)
    written = document.read_text()
    assert written.startswith(f"before\n{BEGIN}\nTaken 2030-01-02 and 2030-01-03 on 2 cores, in 3 minutes.\n")
    assert "| HTTP chat with echo, a core-second | - | >= 700 turns | 900 turns | **900 turns** |" in written
    assert "Not taken, their rows left out: rest, turns, latency, growth, edits, chat, registered." in written
    assert "old" not in written
    assert written.endswith(f"{END}\nafter\n")
