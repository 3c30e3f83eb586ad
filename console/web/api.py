"""What the web application is given beside a Control: the settings of `[api]`, the keys, the bots, what there is to measure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from config.sections.api import ApiSection
from console.journals import Journals
from console.keyring import Keyring
from console.tenants import Tenants


@dataclass(frozen=True, slots=True)
class Api:
    """settings are those of the moment; measures yields the pages of /metrics; ready says why not, or nothing.

    tenants are the bots a program may talk to, journals what is written down, for readers that come back.
    """

    settings: Callable[[], ApiSection]
    keys: Keyring
    measures: Callable[[], AsyncIterator[bytes]]
    ready: Callable[[], str]
    tenants: Tenants
    journals: Journals
