"""`botdeck start`: see `console/steering.py`."""

from __future__ import annotations

from console.steering import make_command

command = make_command(
    "start",
    "Start bots.",
    "Start BOTs (ids or globs): what is wanted of them is to run, also after a restart of the fleet. Clears a quarantine.",
    "botdeck start support",
    "botdeck start 'shop-*' --yes --wait --timeout 30",
)
