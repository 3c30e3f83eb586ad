"""`botdeck stop`: see `console/steering.py`."""

from __future__ import annotations

from console.steering import make_command

command = make_command(
    "stop",
    "Stop bots; turns in flight are finished.",
    "Stop BOTs (ids or globs): turns in flight are finished, what waits stays in the inbox. They stay stopped until started.",
    "botdeck stop support --reason maintenance",
    "botdeck stop --all --yes --wait",
)
