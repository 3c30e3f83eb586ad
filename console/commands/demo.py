"""`botdeck demo`: a small fleet, an embedded Telegram, and people who talk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from console.options import examples


@click.command(
    "demo",
    short_help="Run a small fleet against an embedded Telegram, with scripted people.",
    epilog=examples("botdeck demo", "botdeck demo --keep mydemo", "botdeck demo --pace 5"),
)
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Use this folder, and leave it there.")
@click.option(
    "--pace", default=1.0, show_default=True, type=click.FloatRange(0.1, 100), help="2 = people twice as quick."
)
@click.option(
    "--port", default=0, type=click.IntRange(0, 65535), help="Port of the embedded Telegram (0 = any free one)."
)
@click.option("--no-ui", is_flag=True, help="Print what is said, without the console.")
def command(keep: Path | None, pace: float, port: int, no_ui: bool) -> int:
    """Run eight bots on a temporary fleet folder; scripted people write to them over the real Telegram code path.

    In a terminal it opens the console; elsewhere, or with --no-ui, it prints what is said. Some of the bots have their
    troubles, and mend. Nothing leaves this machine and no key is needed. Quitting removes the folder.
    """
    from console.terminal import demo

    with folder(keep) as root:
        return demo(root, pace=pace, port=port, screen=not no_ui)


@contextmanager
def folder(keep: Path | None) -> Iterator[Path]:
    """Give the folder of the demo: the one to keep, or one that is gone afterwards."""
    from tempfile import TemporaryDirectory

    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        yield keep
        return
    with TemporaryDirectory(prefix="botdeck-demo-", ignore_cleanup_errors=True) as made:
        yield Path(made)
