"""`botdeck serve`: the console of a running fleet in a browser."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option


@click.command(
    "serve",
    short_help="Show the console of a running fleet in a browser.",
    epilog=examples("botdeck serve -C mybots", "botdeck serve --port 8766 --readonly"),
)
@fleet_option
@env_option
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port on 127.0.0.1 (0 = any free one).")
@click.option("--readonly", is_flag=True, help="Look only: every order is refused by the fleet.")
def command(root: Path, environment: str | None, port: int, readonly: bool) -> int:
    """Serve the console of a fleet that runs, on this machine only, behind a token that is printed.

    Every tab is a console of its own. From elsewhere: `ssh -L 8766:127.0.0.1:8766 host`. Needs the extra `browser`:
    pip install "botdeck[browser]".
    """
    import anyio

    from config.errors import FleetError
    from console.attach import connect
    from console.place import find

    place = find(root, environment)
    try:
        from console.browser import serve
    except ModuleNotFoundError as error:
        raise FleetError(
            f"the browser console needs {error.name}, which is not installed", 'pip install "botdeck[browser]"'
        ) from None

    async def serving() -> None:
        await connect(place)
        await serve(root, environment, port=port, readonly=readonly, title=place.name)

    try:
        anyio.run(serving)
    except OSError as error:
        raise FleetError(f"cannot listen on port {port}: {error.strerror}", "choose another --port") from error
    except KeyboardInterrupt:
        return 0
    return 0
