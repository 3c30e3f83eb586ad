"""Which addresses a link may have: those the server takes, since one it does not take costs the whole message its styles."""

from __future__ import annotations

import re
from typing import Final

MAX_ADDRESS: Final = 2048

_WEB: Final = re.compile(r"(https?://)([^\s/?#\"<>\\^`{|}]+)([/?#][^\s\"<>\\^`{|}]*)?", re.IGNORECASE)
_HOST: Final = re.compile(
    r"(?:[\w.~!$&'()*+,;=%:-]*@)?((?:[a-z0-9_-]+\.)+[a-z0-9_-]*[a-z0-9_])(:\d{1,5})?", re.IGNORECASE
)
_TELEGRAM: Final = re.compile(r"tg:(?://)?[a-z0-9_-]+(?:\?[^\s\"<>\\^`{|}]*)?", re.IGNORECASE)
_BARE: Final = re.compile(r"(?:www\.|t\.me/)", re.IGNORECASE)
_MAIL: Final = re.compile(r"mailto:([^\s@?<>\"]+@[^\s@?<>\"]+\.[^\s@?<>\"]+)", re.IGNORECASE)


def address(target: str) -> str:
    """Return a link's target as the server takes it, "" when it would not: another scheme, no host, too long."""
    if len(target) > MAX_ADDRESS:
        return ""
    if _BARE.match(target):
        target = f"https://{target}"
    found = _WEB.fullmatch(target)
    if found is None:
        return target if _TELEGRAM.fullmatch(target) else ""
    scheme, host, rest = found[1], _ascii(found[2]), found[3] or ""
    valid = _HOST.fullmatch(host)
    if valid is None or (valid[2] and int(valid[2][1:]) > 65535):
        return ""
    return f"{scheme}{host}{rest}"


def mail(target: str) -> str:
    """Return the address of a mailto: link, "" for any other target. A message shows it as text: clients make it a link."""
    found = _MAIL.match(target)
    return found[1] if found else ""


def _ascii(host: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return ""
