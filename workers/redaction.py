"""Secrets taken out of every text that leaves the process."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Final
from urllib.parse import unquote_to_bytes

from config.vocabulary import TOKEN_PATTERN, Secret
from store.keys import KEY_PATTERN, PREFIX

SHORTEST: Final = 6
"""Shorter values are no secrets: taking them out would garble every line."""

SHORTEST_ENCODED: Final = 8
"""Base64 of less says too little to be told from other text."""

_SHAPES: Final = (
    (":", re.compile(TOKEN_PATTERN)),
    ("sk-", re.compile(r"\bsk-[\w-]{16,}")),
    (f"{PREFIX}_", re.compile(KEY_PATTERN)),
    ("earer ", re.compile(r"(?<=earer )[\w.~+/=-]{8,}")),
)
"""What looks like a secret, whoever's it is: (a cheap sign that it may be there, the pattern)."""

_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_BACKSLASH: Final = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|(?:\\x[0-9A-Fa-f]{2})+|\\U[0-9A-Fa-f]{8}|\\[\\\"'/abfnrtv]")
_LETTERS: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_DEPTH: Final = 2
"""How many times a text may be encoded over itself: a URL within a URL, JSON within JSON."""

LEARNT: Final = 50_000
"""Secrets of bots that programs made, some 20 MB."""

_Span = tuple[int, int]
_Spellings = dict[str, tuple[str, ...]]
"""What spellings begin with → the spellings, longest first."""


class Redactor:
    """Replaces everything shaped like a bot token or key, and every known secret in its usual spellings, by a mask.

    Found are: the secret as it is; percent-encoded in a URL, wholly or in part; escaped as in JSON or a repr; within
    base64, wherever it begins; for HTML. The known secrets may be replaced at any time, from any thread. A text costs
    about 0.1 µs a character, however many secrets there are, and learning one 10 µs.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = Lock()
        self._learnt: dict[str, None] = {}
        self._own: _Spellings = {}
        self._taught: _Spellings = {}
        self._known: _Spellings = {}
        self.replace_known(secrets)

    def replace_known(self, secrets: Iterable[str]) -> None:
        """Know these secrets from now on, and no others but those learnt."""
        own = _by_start(secrets)
        with self._lock:
            self._own = own
            self._known = _together(own, self._taught)

    def learn(self, secrets: Iterable[str]) -> None:
        """Know these secrets too, whichever are replaced; beyond LEARNT the half learnt first is forgotten."""
        with self._lock:
            new = [secret for secret in secrets if secret not in self._learnt]
            if not new:
                return
            self._learnt.update(dict.fromkeys(new))
            if len(self._learnt) > LEARNT:
                self._learnt = dict.fromkeys(list(self._learnt)[LEARNT // 2 :])
                self._taught = _by_start(self._learnt)
                self._known = _together(self._own, self._taught)
                return
            found = _by_start(new)
            self._taught.update(_together(found, self._taught, within=found))
            self._known.update(_together(found, self._known, within=found))

    def clean(self, text: str) -> str:
        """Return text without secrets."""
        spans = self._spans(text)
        if "%" in text:
            spans += self._spans_behind(text, _PERCENT, _of_percent)
        if "\\" in text:
            spans += self._spans_behind(text, _BACKSLASH, _of_backslash)
        return _masked(text, spans) if spans else text

    def _spans(self, text: str) -> list[_Span]:
        """Return where secrets stand."""
        spans = [span for sign, shape in _SHAPES if sign in text for span in map(re.Match.span, shape.finditer(text))]
        known = self._known
        if known:
            for at in [i for i in range(len(text) - SHORTEST + 1) if text[i : i + SHORTEST] in known]:
                for spelling in known[text[at : at + SHORTEST]]:
                    if text.startswith(spelling, at):
                        spans.append((at, at + len(spelling)))
                        break
        return spans

    def _spans_behind(self, text: str, escape: re.Pattern[str], decode: Callable[[str], str]) -> Iterator[_Span]:
        """Yield where secrets stand behind an encoding, in places of the text as it is."""
        places: list[int] = []
        for _ in range(_DEPTH):
            if not escape.search(text):
                return
            text, into = _decoded(text, escape, decode)
            places = [places[place] for place in into] if places else into
            for start, end in self._spans(text):
                last = end
                while places[last] == places[end - 1]:  # an escape that stands for several characters goes as a whole
                    last += 1
                yield places[start], places[last]


def _by_start(secrets: Iterable[str]) -> _Spellings:
    """Return the spellings of secrets by what they begin with."""
    by_start: dict[str, set[str]] = {}
    for secret in secrets:
        # A trace indents every line of what it quotes: a secret of several lines is told by each of them.
        for part in {secret, *secret.splitlines()}:
            for spelling in _spellings(part):
                by_start.setdefault(spelling[:SHORTEST], set()).add(spelling)
    return {start: _longest_first(all_) for start, all_ in by_start.items()}


def _together(one: _Spellings, other: _Spellings, *, within: _Spellings | None = None) -> _Spellings:
    """Return both, or what of them begins as one of `within` does."""
    starts = {**one, **other} if within is None else within
    return {start: _longest_first({*one.get(start, ()), *other.get(start, ())}) for start in starts}


def _longest_first(spellings: Iterable[str]) -> tuple[str, ...]:
    """A secret that contains another is taken out whole."""
    return tuple(sorted(spellings, key=len, reverse=True))


def _decoded(text: str, escape: re.Pattern[str], decode: Callable[[str], str]) -> tuple[str, list[int]]:
    """Return text with its escapes decoded, and for each of its characters (and its end) where it came from."""
    pieces: list[str] = []
    places: list[int] = []
    done = 0
    for match in escape.finditer(text):
        start, end = match.span()
        said = decode(match[0])
        pieces += (text[done:start], said)
        places += range(done, start)
        places += [start] * len(said)
        done = end
    pieces.append(text[done:])
    places += range(done, len(text) + 1)
    return "".join(pieces), places


def _of_percent(run: str) -> str:
    return unquote_to_bytes(run).decode("utf-8", "replace")


def _of_backslash(escape: str) -> str:
    kind = escape[1]
    if kind == "u":  # a run, as one character may take two
        units = bytes.fromhex(escape.replace("\\u", ""))
        return units.decode("utf-16-be", "replace")
    if kind == "x":
        raw = bytes.fromhex(escape.replace("\\x", ""))
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    if kind == "U":
        return bytes.fromhex(escape[2:]).decode("utf-32-be", "replace")
    return _LETTERS.get(kind, kind)


def _masked(text: str, spans: list[_Span]) -> str:
    """Return text with a mask for each span; spans that overlap are one."""
    pieces: list[str] = []
    done = 0
    for start, end in sorted(spans):
        if start >= done:
            pieces += (text[done:start], Secret.MASK)
        done = max(done, end)
    pieces.append(text[done:])
    return "".join(pieces)


def _spellings(secret: str) -> set[str]:
    """Return how a secret may be written where no escape tells it."""
    if len(secret.strip()) < SHORTEST:
        return set()
    found = {secret, secret.strip(), secret.replace(" ", "+"), html.escape(secret), html.escape(secret, quote=False)}
    raw = secret.strip().encode("utf-8", "surrogatepass")
    for before in range(3):
        # What stands before the secret shifts it by none, one or two bytes; letters that depend on neighbours are left off.
        encoded = base64.b64encode(bytes(before) + raw).decode()
        core = encoded[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        if len(core) >= SHORTEST_ENCODED:
            found |= {core, core.translate(_URL_SAFE)}
    return found


_URL_SAFE: Final = str.maketrans("+/", "-_")

by_shape: Final = Redactor().clean
"""Takes out what looks like a secret, where nobody knows any."""
