"""`botdeck conversations`: with whom a bot speaks, and what was said."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from console.control import Control, ConversationRow, MessageRow
    from console.offline import Offline


@click.command(
    "conversations",
    short_help="List a bot's conversations, or read one.",
    epilog=examples(
        "botdeck conversations support -C mybots",
        "botdeck conversations support --search refund",
        "botdeck conversations support 501",
    ),
)
@click.argument("bot")
@click.argument("conversation", required=False)
@fleet_option
@env_option
@click.option("--search", default="", metavar="TEXT", help="Only those, or only messages, with this text in them.")
@click.option("-n", "--tail", "limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option(
    "--client", default=None, metavar="CLIENT", help="The tenant, where two have a conversation of that name."
)
@json_option
def command(
    bot: str,
    conversation: str | None,
    root: Path,
    environment: str | None,
    search: str,
    limit: int,
    client: str | None,
    as_json: bool,
) -> None:
    """List the conversations of BOT, last spoken in first, or print the last messages of CONVERSATION, oldest first.

    Works on a fleet that runs, and on the database of one that does not.
    """
    from console.asking import ask_either
    from console.output import print_json

    async def asking(source: Control | Offline) -> list[ConversationRow] | list[MessageRow]:
        if conversation is None:
            return await source.conversations(bot, search=search, limit=limit)
        tenant = client if client is not None else await _tenant(source, bot, conversation)
        return await source.messages(bot, tenant, conversation, search=search, limit=limit)

    rows = ask_either(root, environment, asking, asking)
    if as_json:
        print_json(rows)
    elif conversation is None:
        _list(rows)  # type: ignore[arg-type]
    else:
        _read(rows)  # type: ignore[arg-type]


async def _tenant(source: Control | Offline, bot: str, conversation: str) -> str:
    """Return the client_id of a conversation. Raises BadRequest for one that is not there, or there twice."""
    from console.errors import BadRequest

    found, before = [], 0.0
    while page := await source.conversations(bot, before=before, limit=1000):
        found += [row["client_id"] for row in page if row["conversation_id"] == conversation]
        before = page[-1]["updated_at"]
    if not found:
        raise BadRequest(f"{bot} has no conversation {conversation}", f"`botdeck conversations {bot}` lists them")
    if len(found) > 1:
        raise BadRequest(
            f"{len(found)} clients have a conversation {conversation}", f"add --client: {', '.join(found)}"
        )
    return found[0]


def _list(rows: list[ConversationRow]) -> None:
    from console.output import clock_time, fit, table

    header = ("CONVERSATION", "USER", "TURNS", "LAST", "SAID")
    lines = [
        (
            row["conversation_id"],
            row["user_id"],
            row["turns"],
            clock_time(row["updated_at"]),
            f"{row['last_role']}: {row['last_text']}",
        )
        for row in rows
    ]
    click.echo(fit(table(header, lines, right=[2])) if rows else "no conversations")


def _read(rows: list[MessageRow]) -> None:
    from console.output import clock_time, visible

    for row in rows:
        model = f"{row['model']}, " if row["model"] else ""
        took = (
            f"  ({model}{row['tokens_in']} + {row['tokens_out']} tokens, {row['latency_ms']} ms)"
            if row["tokens_out"]
            else ""
        )
        click.echo(f"{clock_time(row['at'])}  {row['role']}{visible(took)}")
        for line in row["text"].split("\n"):
            click.echo(f"  {visible(line)}")
