"""The exit codes of `botdeck`, after LSB, sysexits and timeout(1)."""

from __future__ import annotations

from typing import Final

OK: Final = 0
"""Observed is as desired; a bot stopped on purpose is fine."""
FAILURE: Final = 1
USAGE: Final = 2
"""Wrong usage, or an invalid configuration."""
NOT_RUNNING: Final = 3
"""Something that should run does not."""
UNKNOWN: Final = 4
"""No such bot, or no fleet can be reached."""
PARTLY: Final = 5
"""Done for some of the bots asked for, not for others."""
OWNED: Final = 75
"""Another process owns the fleet (EX_TEMPFAIL)."""
TIMED_OUT: Final = 124
"""`--wait` ran out of `--timeout`."""
INTERRUPTED: Final = 130
TERMINATED: Final = 143
