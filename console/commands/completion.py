"""`botdeck completion`: the completion script of a shell."""

from __future__ import annotations

import click

from console.options import examples


@click.command(
    "completion",
    short_help="Print the completion script of a shell.",
    epilog=examples("botdeck completion bash > ~/.local/share/bash-completion/completions/botdeck"),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script that completes commands and options of botdeck in SHELL."""
    from click.shell_completion import get_completion_class

    from console.cli import app

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three shells of the choice"
    click.echo(kind(app, {}, "botdeck", "_BOTDECK_COMPLETE").source())
