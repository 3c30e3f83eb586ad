"""`botdeck pause`: see `console/steering.py`."""

from __future__ import annotations

from console.steering import make_command

command = make_command(
    "pause",
    "Let bots stop taking messages, staying ready.",
    "Let BOTs (ids or globs) take no new messages; what is in the inbox is still answered.",
    "botdeck pause support --reason 'answering by hand'",
)
