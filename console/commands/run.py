"""`botdeck run`: the fleet of a folder, until it is told to end."""

from __future__ import annotations

from pathlib import Path

import click

from console.options import env_option, examples, fleet_option


@click.command(
    "run",
    short_help="Run the fleet of a folder.",
    epilog=examples("botdeck run -C mybots", "botdeck run --no-ui --env production --log-format json"),
)
@fleet_option
@env_option
@click.option("--no-ui", is_flag=True, help="Without the console: for service managers and containers.")
@click.option(
    "--log-format", type=click.Choice(["human", "json"]), help="Form of log lines on stderr, where there is no console."
)
def command(root: Path, environment: str | None, no_ui: bool, log_format: str | None) -> int:
    """Run every bot of the folder in this process, under the console, applying changes of its files as they are saved.

    Without a terminal, or with --no-ui, lines take the console's place. The console can be left while the bots run on,
    and be opened again with `botdeck attach`; a terminal that is lost leaves them running too.

    SIGTERM or Ctrl-C finishes turns in flight and ends; a second one cancels them, a third exits at once. Another
    fleet on the same database is refused (exit code 75).
    """
    if no_ui:
        from console.headless import run_fleet

        return run_fleet(root, environment=environment, log_format=log_format)
    from console.terminal import run

    return run(root, environment=environment, log_format=log_format)
