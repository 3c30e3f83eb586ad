"""Secrets written down as they are, told by the name of their key or by their shape."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any, Final

from config.expand import looks_secret
from config.keys import KeyPath, bot_keys, key_at
from config.vocabulary import TOKEN_PATTERN

LONG: Final = 16
"""Characters from which on a text without blanks may be a key."""
RANDOM_BITS: Final = 3.0
"""Shannon entropy a character from which on it looks drawn by lot; words of a language have less at this length."""

_SHAPES: Final = tuple(
    (what, re.compile(pattern))
    for what, pattern in {
        "a Telegram bot token": TOKEN_PATTERN,
        "an API key": r"(?<!\w)(?:(?:sk|rk|pk)[-_][\w-]{16,}|AIza[\w-]{30,}|gsk_\w{20,}|hf_\w{20,}|r8_\w{20,})",
        "an access key": r"(?<!\w)(?:AKIA|ASIA)[0-9A-Z]{16}(?!\w)",
        "an access token": r"(?<!\w)(?:gh[opsur]_\w{30,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeoprs]-[\w-]{10,})",
        "a signed token": r"(?:(?<![\w-])|(?<=:-))eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.",
        "a bearer token": r"(?i)(?<!\w)bearer\s+[\w.~+/=-]{16,}",
        "a private key": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY",
        "a password in an address": r"[a-zA-Z0-9]://[^/\s:@?#]{0,200}:(?!\$\{)[^/\s@]{1,200}@",
    }.items()
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NAMED = re.compile(
    r"passw|passphrase|passcode|secret|credential|authorization|api_?key|(?:private|access|account|auth|signing|encryption)_?key"
    r"|(?:^|_)(?:token|pwd|pass|pw)$|^tokens$|(?:auth|access|refresh|api|bot)_?tokens$|bearer"
)
_TYPED = re.compile(r"(?:^|_)(?:password|passwd|passphrase|passcode|pwd)$")
"""Names of what people type: digits alone may be one."""
_OTHER = re.compile(
    r"tokeni[sz]er|(?:bos|eos|pad|sep|stop|start|end|special|mask|unk)_tokens?$|(?:^|_)(?:type|url|uri|name|limit|count|path|mode|method|header|expiry|ttl|endpoint|algorithm|id)s?$"
    r"|author(?!iz|is)|(?:max|min|input|output)_tokens"
)


def by_shape(text: str) -> str:
    """Return what a text holds that has the shape of a secret; "" when nothing has."""
    return next((what for what, shape in _SHAPES if shape.search(text)), "")


def by_name(path: KeyPath, value: Any) -> str:
    """Return what a literal value is by the name of its key, or of a table around it; "" when it may be anything."""
    if isinstance(value, bool) or value in ("", None):
        return ""
    key = key_at(bot_keys(), path)
    names = [_HUMP.sub("_", part).replace("-", "_").lower() for part in path if isinstance(part, str)]
    if key is not None and not key.secret:
        # What is declared and no secret has a harmless name; only names that are free may tell.
        return ""
    if isinstance(value, str) and key is not None and len(key.path) == len(path):
        return "a secret"
    for name in names:
        if _OTHER.search(name):
            continue
        if _NAMED.search(name) and (isinstance(value, str) or _TYPED.search(name)):
            return "a secret"
        if looks_secret(name) and isinstance(value, str) and random(value):
            return "a secret"
    return ""


def random(text: str) -> bool:
    """Tell whether a text is long and looks drawn by lot."""
    if len(text) < LONG or any(map(str.isspace, text)):
        return False
    counts = Counter(text).values()
    bits = -sum(count / len(text) * math.log2(count / len(text)) for count in counts)
    return bits >= RANDOM_BITS and (any(map(str.isdigit, text)) or not text.islower())
