"""`botdeck backup`: a verified copy of the database."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option
from console.output import say


@click.command(
    "backup",
    short_help="Copy the database of a fleet, running or not, and verify the copy.",
    epilog=examples("botdeck backup copy.db -C mybots", "botdeck backup /var/backups/bots.db --force"),
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@fleet_option
@env_option
@click.option("--force", is_flag=True, help="Replace FILE when it exists.")
def command(file: Path, root: Path, environment: str | None, force: bool) -> None:
    """Copy the database into FILE while bots go on, check the copy, and only then give it its name.

    The copy is a whole database: put it in the place of the old one to restore it. It holds conversations; keep it
    as safe as the original.
    """
    from console.asking import ask_either

    target = file.absolute()
    done = ask_either(
        root,
        environment,
        lambda remote: remote.backup(target, overwrite=force),
        lambda offline: offline.backup(target, overwrite=force),
    )
    say(f"wrote {done['file']} ({done['size_bytes']:,} bytes, verified)")
