"""`botdeck resume`: see `console/steering.py`."""

from __future__ import annotations

from console.steering import make_command

command = make_command(
    "resume",
    "Let paused bots take messages again.",
    "Let paused BOTs (ids or globs) take messages again.",
    "botdeck resume support",
)
