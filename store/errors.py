"""The errors of the store.

FleetError
└── StoreError                the database cannot be used
    ├── StoreOpenError        it cannot be opened: path, permission, corruption, newer version
    ├── StoreFull             no room left on the device (the fleet waits, nothing is lost)
    ├── StoreUnavailable      another write fault: read-only, locked, taken away (the fleet waits)
    │   └── StoreDoubtful     an I/O error: the file is opened anew and checked before it is trusted again
    └── StoreCorrupt          SQLite says the file is damaged
"""

from __future__ import annotations

from config.errors import FleetError


class StoreError(FleetError):
    """The database cannot be used."""


class StoreOpenError(StoreError):
    """The database cannot be opened: path, permission, corruption, newer version."""


class StoreFull(StoreError):
    """There is no room left on the device; what was asked is not written, and may be asked again."""


class StoreUnavailable(StoreError):
    """A write failed for a reason outside of the fleet (read-only, I/O); it may be asked again."""


class StoreDoubtful(StoreUnavailable):
    """The device reported an I/O error: what it holds may differ from what memory says, until the file is checked."""


class StoreCorrupt(StoreError):
    """SQLite says the file is damaged."""
