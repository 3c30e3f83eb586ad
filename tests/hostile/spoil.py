"""Ways to spoil a file. Each takes a source of chance and bytes, and returns other bytes; `spoil` lays a few over another."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Final

Way = Callable[[random.Random, bytes], bytes]

NOISE: Final = (
    b"\x00", b"\xef\xbb\xbf", b"\r", b"\r\n", b"\n", b"\x7f", b"\x1b[2J", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc2\x9b31m",
    "\u2028".encode(), "\u202e".encode(), "\u200b".encode(), "\u00a0".encode(), "é".encode(), "\U0001f4a5".encode(), b"\t",
    b'"', b"'", b'"""', b"'''", b"[", b"]", b"[[", b"]]", b"{", b"}", b"=", b".", b",", b"#", b"\\", b"\\u", b"\\U00110000",
    b"${", b"$${", b"${NAME", b"${NAME:?", b"}", b"$resource", b"file:", b"cmd:", b"-", b"+", b"0x", b"1e999", b"nan",
)  # fmt: skip
VALUES: Final = (
    "0", "-1", "9" * 30, "-" + "9" * 19, "9" * 5000, "0x" + "f" * 40, "0x" + "f" * 5000, "0x7fffffffffffffff", "1e999", "-1e-999", "inf", "-inf", "nan", "+nan", "0.0", "1_0",
    "true", "false", '""', '"\\u0000"', '"\\ud800"', '"\\u202e"', '"\\u001b]0;x\\u0007"', '"x"', "''", '"""\n"""', "[]", "{}", "[[]]",
    "[1, 'a', {}]", "{ a = 1 }", "{ a.b.c = {} }", "1979-05-27", "07:32:00", "1979-05-27T07:32:00Z", "1979-05-27T25:00:00",
    "0000-01-01", "9999-12-31T23:59:59.999999+23:59", '"${NAME}"', '"${NO_SUCH}"', '"${NAME:?because}"', '"${NAME:-${NAME}}"',
    '"$${NAME}"', '"${"', '"file:"', '"file:/dev/zero"', '"file:/proc/self/mem"', '"file:bots"', '"file:${NAME}"', '"cmd:"',
    '"cmd:/"', "\"cmd:'\"", '"cmd:false"', '"http://"', '"http://[::1"', '"http://a:99999"', '"http://u:p@h/"', '"ftp://x"',
    "nul", "None", "TRUE", "yes", "[1,,2]", "{a=1,}", '"unclosed', "'''unclosed", "",
)  # fmt: skip
KEYS: Final = (
    "name", "enabled", "channel", "telegram.token", "llm.options", "llm.options.seed", "llm.options.delay_s", "llm.model", "llm",
    '"$resource"', '"$requires"', "type", '""', '"a\\nb"', "'a.b'", "naмe", "ｎame", "NAME", "defaults", "fleet", "__class__",
    "model_config", "llm.api_key", "memory.max_messages", "limits.max_lanes", "providers.default.provider", "${NAME}", "1", "-",
)  # fmt: skip
LOOK_ALIKES: Final = str.maketrans('aeopcxy"=[', "аеорсху\u201d\uff1d\uff3b")


def spoil(chance: random.Random, data: bytes, most: int = 3) -> tuple[bytes, tuple[str, ...]]:
    """Return data spoiled in one to `most` ways, and the names of the ways."""
    ways = chance.choices(list(WAYS), k=chance.randint(1, most))
    for way in ways:
        data = way(chance, data)
    if chance.random() < 0.01:
        ways.append(huge)
        data = huge(chance, data)
    return data, tuple(way.__name__ for way in ways)


def flip_bits(chance: random.Random, data: bytes) -> bytes:
    """Turn a few bits over."""
    spoiled = bytearray(data or b"x")
    for _ in range(chance.randint(1, 4)):
        spoiled[chance.randrange(len(spoiled))] ^= 1 << chance.randrange(8)
    return bytes(spoiled)


def any_bytes(chance: random.Random, data: bytes) -> bytes:
    """Put any bytes somewhere."""
    at, size = chance.randint(0, len(data)), chance.randint(1, 8)
    return data[:at] + chance.randbytes(size) + data[at + chance.randint(0, size) :]


def noise(chance: random.Random, data: bytes) -> bytes:
    """Put pieces that mean something to a parser, a decoder or a terminal somewhere."""
    for _ in range(chance.randint(1, 4)):
        at = chance.randint(0, len(data))
        data = data[:at] + chance.choice(NOISE) + data[at + chance.choice((0, 0, 1, 5)) :]
    return data


def truncate(chance: random.Random, data: bytes) -> bytes:
    """Cut off the end, as a disk that is full does."""
    return data[: chance.randint(0, len(data))]


def cut_out(chance: random.Random, data: bytes) -> bytes:
    """Take a piece out of the middle."""
    at = chance.randint(0, len(data))
    return data[:at] + data[at + chance.randint(1, 30) :]


def shuffle_lines(chance: random.Random, data: bytes) -> bytes:
    """Delete, double or exchange lines: keys there twice, values under the wrong table."""
    lines = data.split(b"\n")
    for _ in range(chance.randint(1, 3)):
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
        lines[at : at + 1] = [lines[at]] * chance.choice((1, 2, 0 if len(lines) > 1 else 1))
    return b"\n".join(lines)


def line_ends(chance: random.Random, data: bytes) -> bytes:
    """Write line ends, or a byte order mark, of another system."""
    made = data.replace(b"\n", chance.choice((b"\r\n", b"\r", b"\r\r\n", "\u2028".encode(), b"\x00\n", b"\x0c\n")))
    return chance.choice((b"", b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\xef\xbb\xbf", b"\xff\xfe")) + made


def other_encoding(chance: random.Random, data: bytes) -> bytes:
    """Save the file as something else than UTF-8."""
    return data.decode("utf-8", "replace").encode(
        chance.choice(("utf-16", "utf-16-be", "utf-32", "utf-7", "cp037")), "replace"
    )


def other_value(chance: random.Random, data: bytes) -> bytes:
    """Give a key a value of another sort or size."""
    places = list(re.finditer(rb"(?<==)[^\n]*", data))
    if not places:
        return data
    place = chance.choice(places)
    return data[: place.start()] + b" " + chance.choice(VALUES).encode("utf-8", "replace") + data[place.end() :]


def other_key(chance: random.Random, data: bytes) -> bytes:
    """Put a line with some key in: unknown ones, known ones twice, a table where a value is."""
    lines = data.split(b"\n")
    name, value = chance.choice(KEYS), chance.choice(VALUES)
    line = chance.choice((f"{name} = {value}", f"[{name}]", f"[[{name}]]", f"{name}.x = {value}", f"[{name}.x.y]"))
    lines.insert(chance.randint(0, len(lines)), line.encode("utf-8", "replace"))
    return b"\n".join(lines)


def look_alikes(chance: random.Random, data: bytes) -> bytes:
    """Replace characters of a line by others that look the same."""
    lines = data.decode("utf-8", "replace").split("\n")
    at = chance.randrange(len(lines))
    lines[at] = lines[at].translate(LOOK_ALIKES)
    return "\n".join(lines).encode("utf-8", "replace")


def nest(chance: random.Random, data: bytes) -> bytes:
    """Nest arrays, tables and dotted names deeply, in a place that takes anything or anywhere."""
    deep = chance.choice((10, 70, 150, 330, 700, 5000))
    dots = ".".join("abc"[i % 3] for i in range(min(deep, chance.choice((1, 9, 90, 2000)))))
    value = chance.choice(
        (
            "[" * deep + "]" * deep,
            "{ a = " * deep + "1" + " }" * deep,
            f"{{ {dots} = " * deep + "1" + " }" * deep,
            "[{ a = " * deep + "1" + " }]" * deep,
            "[" * deep,
        )
    )
    line = chance.choice(
        (f"llm.options.deep = {value}", f"deep = {value}", f"[llm.options.{dots}]", f"{dots} = 1", f"[{dots}]")
    )
    place = chance.choice((data + b"\n", b""))
    return place + line.encode() + b"\n" + (b"" if place else data)


def huge(chance: random.Random, data: bytes) -> bytes:
    """Make the file large: near the limit, and ten times beyond."""
    size = chance.choice((10_000, 900_000, 1_048_576 - len(data), 10_000_000))
    unit = chance.choice(
        (b"#", b"\n", b"x = 1\n", b"[a]\n", b"[[a]]\n", b'"', b"a.", b"[", b"\x00", "é".encode(), b'k = "${NAME}"\n')
    )
    return data + b"\n" + (unit * (size // len(unit) + 1))[:size]


def numbered(chance: random.Random, data: bytes) -> bytes:
    """Add many different keys or tables."""
    form = chance.choice(
        ("k{} = {}\n", "[t{}.x]\n", "[[llm.options.l{}]]\n", "llm.options.k{} = '${{NAME}}'\n", "[providers.r{}]\n")
    )
    return data + b"\n" + "".join(form.format(i, i) for i in range(chance.choice((5, 200)))).encode()


WAYS: Final[tuple[Way, ...]] = (
    flip_bits, any_bytes, noise, truncate, cut_out, shuffle_lines, line_ends, other_encoding, other_value, other_value, other_value,
    other_key, other_key, look_alikes, nest, numbered,
)  # fmt: skip
