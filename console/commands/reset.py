"""`botdeck reset`: see `console/steering.py`."""

from __future__ import annotations

from console.steering import make_command

command = make_command(
    "reset",
    "Forget a bot's failures and try it again.",
    "Forget the failures of BOTs (ids or globs): back-off and quarantine end, they are tried at once.",
    "botdeck reset support --wait",
    "botdeck reset --all --yes",
)
