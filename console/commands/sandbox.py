"""`botdeck sandbox`: the embedded Telegram alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from console import exits
from console.options import examples

if TYPE_CHECKING:
    from console.sandbox.server import Sandbox

PORT: Final = 8081
EXAMPLE_TOKEN: Final = "100001:sandbox-token-for-trying-botdeck-out"
"""The token `botdeck init` writes into .env.example."""


@click.command(
    "sandbox",
    short_help="Run the embedded Telegram alone, to try a fleet without a token.",
    epilog=examples("botdeck sandbox", "botdeck sandbox --port 9000 --bots 3"),
)
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0 = any free one.")
@click.option("--bots", default=1, show_default=True, type=click.IntRange(1, 10_000), help="Bots to register.")
def command(port: int, bots: int) -> int:
    """Serve a Bot API double, a model double and a page to write to bots as a person, on 127.0.0.1, until Ctrl-C.

    It forgets everything when it ends. The first bot's token is the one `botdeck init` puts into .env.example.
    """
    import anyio

    from config.errors import FleetError

    try:
        return anyio.run(serve, port, bots)
    except OSError as error:
        raise FleetError(f"cannot listen on port {port}: {error.strerror}", "choose another with --port") from error


async def serve(port: int, bots: int) -> int:
    """Serve until a signal asks for the end."""
    import signal

    import anyio

    from console.sandbox.server import Sandbox

    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with Sandbox(port=port) as sandbox:
            sandbox.add_bot(EXAMPLE_TOKEN, username="example_bot", name="Example")
            for _ in range(bots - 1):
                sandbox.add_bot()
            show(sandbox)
            async for _ in signals:
                break
    return exits.OK


def show(sandbox: Sandbox) -> None:
    """Print what goes into a bot file, and where to write to the bots."""
    click.echo("# a bot file for this sandbox:")
    click.echo("[telegram]")
    click.echo(f'base_url = "{sandbox.base_url}"')
    click.echo(f'base_file_url = "{sandbox.base_file_url}"')
    for bot in sandbox.bots.values():
        click.echo(f'token = "{bot.token}"  # @{bot.username}')
    click.echo("[llm]  # a model that needs no key, if echo is not enough")
    click.echo(f'provider = "openai"\nbase_url = "{sandbox.model_url}"\nmodel = "sandbox"')
    click.echo(f"# write to the bots as a person: {sandbox.url}/")
    click.echo("# ready; Ctrl-C ends it", err=True)
