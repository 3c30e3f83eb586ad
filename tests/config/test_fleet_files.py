"""Reading files: only what is a small, regular, UTF-8 file is read, everything else is refused with a sentence."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from config.files import MAX_BYTES, Source, Unreadable, parse, read_text


def refusal(path: Path) -> str:
    with pytest.raises(Unreadable) as caught:
        read_text(path)
    return caught.value.message


def test_a_file_of_exactly_the_limit_is_read_one_byte_more_is_not(tmp_path: Path) -> None:
    """1 MiB is allowed; more is refused without being read."""
    path = tmp_path / "a.toml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert len(read_text(path)[0]) == MAX_BYTES
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert refusal(path) == "is larger than 1024 KiB"


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    """A pipe without a writer, a folder, a socket, a device, a link into nowhere and one to itself do not block."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "nowhere").symlink_to("gone")
    (tmp_path / "self").symlink_to("self")
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        said = {name: refusal(tmp_path / name) for name in ("pipe", "folder", "nowhere", "self", "device", "socket")}
    assert said == {
        "pipe": "is a pipe, not a file",
        "folder": "is a folder, not a file",
        "nowhere": "does not exist, or is a link that points nowhere",
        "self": "is a link that leads back to itself",
        "device": "is a device, not a file",
        "socket": "is a socket, not a file",
    }


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    """Mounted configuration volumes are made of links."""
    (tmp_path / "real").write_text("a = 1")
    (tmp_path / "a.toml").symlink_to("real")
    assert Source.read(tmp_path / "a.toml").data == {"a": 1}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    """The right to read is named as what is missing."""
    path = tmp_path / "a.toml"
    path.touch(mode=0o000)
    assert refusal(path) == "may not be read"


def test_the_place_of_the_first_byte_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    """Line and column, in characters, of the byte; the byte itself in hex."""
    path = tmp_path / "a.toml"
    path.write_bytes("a = 1\nb = 'ü".encode() + b"\xff'\n")
    problem = Source.read(path, "a").problem
    assert problem is not None
    assert (problem.line, problem.column, problem.bot_id) == (2, 7, "a")
    assert problem.message == "is not UTF-8: byte 0xff at line 2, column 7"


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    """Editors that write one are forgiven."""
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert Source.read(path).data == {"a": 1}


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("a = 1\nb = gpt\n", 2, 5, "not TOML: invalid value"),
        ("a = 1\na = 2\n", 2, 1, "not TOML: a is there twice"),
        ("[a]\n[a]\n", 2, 1, "not TOML: [a] is there twice"),
        ('a = "x\n', 1, 7, "not TOML: illegal character"),
        ("a = [\n1,\n", 3, 1, "not TOML:"),
        ("a = " + "[" * 3000, 1, 65, "brackets or names joined by dots are nested too deeply"),
        (
            "b = 1\na = " + "{ a = " * 70 + "1" + " }" * 70,
            2,
            361,
            "brackets or names joined by dots are nested too deeply",
        ),
        ("b = " + "9" * 20, 1, 1, "a whole number has more than 64 bits"),
        ("b=1\na = " + "9" * 5000, 2, 5, "a number has too many digits"),
        ("b=1\n" + "a." * 500_000 + "a = 1", 2, 1, "more than 100 names are joined by dots"),
        ("b=1\n[a." + "a." * 500_000 + "a]", 2, 1, "more than 100 names are joined by dots"),
    ],
)
def test_a_mistake_in_the_syntax_has_its_place(text: str, line: int, column: int, words: str) -> None:
    """Each is one sentence with line and column, whatever the parser raises, and soon."""
    with pytest.raises(Unreadable) as caught:
        parse(text)
    assert caught.value.message.startswith(words)
    assert (caught.value.line, caught.value.column) == (line, column)


def test_text_full_of_dots_is_not_taken_for_a_key() -> None:
    """A prompt may hold as many dots as it likes."""
    assert parse('a = "' + "one. two. " * 200 + "." * 200 + '"\n')
