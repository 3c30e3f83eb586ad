"""`botdeck restart`: see `console/steering.py`."""

from __future__ import annotations

from console.steering import make_command

command = make_command(
    "restart",
    "Restart bots; turns in flight are finished.",
    "Restart BOTs (ids or globs): turns in flight are finished, then they start anew.",
    "botdeck restart support --wait",
    "botdeck restart --all --yes",
)
