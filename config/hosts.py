"""Hosts that mean something else, or nothing, on another machine: told from their names and numbers, nobody is asked.

An IPv4 address may be written in one to four parts, each decimal, octal (0177) or hexadecimal (0x7f), the last standing
for all that is left (RFC 3986 section 7.4, inet_aton(3)); an IPv6 address may hold an IPv4 one in several ways.
"""

from __future__ import annotations

import re
import unicodedata
from ipaddress import IPv4Address, IPv6Address
from typing import Final
from urllib.parse import unquote

from config.positions import KeyPath

LOCAL_NAMES: Final = frozenset(
    {"localhost", "localdomain", "ip6-localhost", "ip6-loopback", "loopback", "broadcasthost", "lvh.me", "localtest.me"}
)
LOCAL_ENDS: Final = (
    ".localhost", ".localdomain", ".local", ".internal", ".intranet", ".private", ".corp", ".home", ".lan", ".home.arpa",
    ".lvh.me", ".localtest.me", ".nip.io", ".sslip.io", ".xip.io",
)  # fmt: skip
"""RFC 6761, 6762 (appendix G), 8375; and names of the open net that lead to whatever address is written in them."""

_PART = re.compile(r"0[xX][0-9a-fA-F]*|[0-9]+")
_DOTTED = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_IPV6 = re.compile(r"[0-9a-f:.]+(?:%.*)?")
_ZEROS = re.compile(r"(?<![0-9a-z])0+(?=0\d)|(?<=0x)0+(?=[0-9a-f])")
_HOST_KEY = re.compile(
    r"host|server|addr|url|uri|endpoint|bind|listen|proxy|origin|broker|upstream|dsn|(?:^|_)ip(?:$|_|v)", re.IGNORECASE
)
_PREFIXES: Final = (0x64FF9B << 64, 0xFFFF0000)
"""Upper 96 bits of addresses that end in an IPv4 address: NAT64 (RFC 6052) and SIIT (RFC 7915)."""
LONGEST: Final = 255
"""Characters of a name that can be resolved."""


def seen(text: str) -> str:
    """Return text as those who resolve names see it: full-width and circled letters plain, nothing invisible."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKC", text).replace("\u3002", ".")
    return "".join(c for c in plain if unicodedata.category(c) != "Cf")


def names_a_host(path: KeyPath) -> bool:
    """Tell whether a key is likely to hold a host, so that a bare number in it may be one."""
    return any(isinstance(part, str) and _HOST_KEY.search(part) for part in path[-2:])


def refusal(host: str, *, certain: bool) -> str:
    """Return why a host is not the same everywhere; "" when nothing tells.

    certain: it is a host for sure, so that `1` or `127.1` is an address and no number.
    """
    name = seen(unquote(host)).strip().lower().removeprefix("[").partition("]")[0].rstrip(".")
    name = _ZEROS.sub("", name)
    if not name or len(name) > LONGEST:
        return ""
    if name in LOCAL_NAMES or name.endswith(LOCAL_ENDS):
        return "is a name of this machine or network"
    if name.count(":") > 1 and _IPV6.fullmatch(name):
        return _of_ipv6(name)
    if not certain and not _DOTTED.fullmatch(name):
        return ""
    found = (_reason(address) for address in _ipv4(name))
    return next(filter(None, found), "")


def _of_ipv6(name: str) -> str:
    try:
        address = IPv6Address(name.partition("%")[0])
    except ValueError:
        return ""
    addresses: list[IPv4Address | IPv6Address] = [*_within(address), address]
    return next(filter(None, map(_reason, addresses)), "")


def _within(address: IPv6Address) -> list[IPv4Address]:
    """Return the IPv4 addresses an IPv6 address leads to: mapped, compatible, translated (6to4, Teredo, NAT64)."""
    number = int(address)
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if number >> 32 in _PREFIXES or (number >> 32 == 0 and number > 1):
        found.append(IPv4Address(number & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _ipv4(name: str) -> list[IPv4Address]:
    """Return the addresses a text may stand for: to some programs 010 is eight, to others ten."""
    parts = name.split(".")
    if len(parts) > 4 or not all(map(_PART.fullmatch, parts)):
        return []
    readings = [[_number(part, octal=octal) for part in parts] for octal in (True, False)]
    return [address for numbers in readings if (address := _joined(numbers)) is not None]


def _number(part: str, *, octal: bool) -> int:
    if part[:2].lower() == "0x":
        return int(part[2:] or "0", 16)
    if octal and part[0] == "0" and not set(part) & {"8", "9"}:
        return int(part, 8)
    return int(part)


def _joined(numbers: list[int]) -> IPv4Address | None:
    *first, last = numbers
    if any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return IPv4Address(sum(number << 8 * (3 - index) for index, number in enumerate(first)) + last)


def _reason(address: IPv4Address | IPv6Address) -> str:
    if address.is_loopback or address.is_unspecified:
        return "is a loopback address: it means this machine"
    if address.is_link_local:
        return "is a link-local address"
    if address.is_multicast:
        return "is an address of a group within a network"
    return "" if address.is_global else "is a private address"
