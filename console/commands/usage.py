"""`botdeck usage`: what bots spent, in tokens and dollars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from console.answers import UsageRow


@click.command(
    "usage",
    short_help="Show what bots spent, in tokens and dollars.",
    epilog=examples("botdeck usage", "botdeck usage support --by user --days 7", "botdeck usage --by model --json"),
)
@click.argument("bot", required=False)
@fleet_option
@env_option
@click.option(
    "--by", default="day", show_default=True, type=click.Choice(["day", "chat", "user", "model"]), help="Sums of what."
)
@click.option(
    "--days", default=30, show_default=True, type=click.IntRange(1, 3660), help="Of so many days, today among them."
)
@json_option
def command(bot: str | None, root: Path, environment: str | None, by: str, days: int, as_json: bool) -> None:
    """Sum up the model calls of BOT (an id or a glob; every bot by default): answers, summaries, voice.

    Days are those of the bot's time zone. Calls whose price is not known count with their tokens alone, and are said.
    Works on a fleet that runs, and on the database of one that does not.
    """
    from console.asking import ask_either
    from console.output import print_json

    selectors = [bot] if bot else []
    rows = ask_either(
        root,
        environment,
        lambda remote: remote.usage(selectors, by=by, days=days),
        lambda offline: offline.usage(selectors, by=by, days=days),
    )
    if as_json:
        print_json(rows)
    else:
        _show(rows, by)


def _show(rows: list[UsageRow], by: str) -> None:
    from console.output import fit, table

    if not rows:
        click.echo("nothing was spent")
        return
    header = ("BOT", by.upper(), "CALLS", "IN", "CACHED", "OUT", "USD")
    lines = [
        (row["bot_id"], row["key"] or "-", row["calls"], *_tokens(row), _dollars(row["cost"], row["unpriced"]))
        for row in rows
    ]
    unpriced = sum(row["unpriced"] for row in rows)
    known = [row["cost"] for row in rows if row["cost"] is not None]
    total = (
        "",
        "total",
        sum(row["calls"] for row in rows),
        *(sum(column) for column in zip(*map(_tokens, rows), strict=True)),
    )
    lines.append((*total, _dollars(sum(known) if known else None, unpriced)))
    click.echo(fit(table(header, lines, right=[2, 3, 4, 5, 6])))
    if unpriced:
        click.echo(
            f"the price of {unpriced} calls is not known: their cost is not in these sums ([[prices]] in fleet.toml"
            " says what later ones cost)",
            err=True,
        )


def _tokens(row: UsageRow) -> tuple[int, int, int]:
    return row["tokens_in"], row["tokens_cached"], row["tokens_out"]


def _dollars(cost: float | None, unpriced: int) -> str:
    if cost is None:
        return "unknown"
    return f"{cost:.4f}{' + ?' if unpriced else ''}"
