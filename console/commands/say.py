"""`botdeck say`: one turn with a bot, as its operator."""

from __future__ import annotations

import sys
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from console import exits
from console.options import env_option, examples, fleet_option, json_option

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from console.control import Said, Saying


@click.command(
    "say",
    short_help="Talk to a bot as its operator.",
    epilog=examples('botdeck say support "Where is my parcel?"', "botdeck say support --session prices Hello --json"),
)
@click.argument("bot")
@click.argument("words", metavar="TEXT...", nargs=-1, required=True)
@fleet_option
@env_option
@click.option("--session", default="cli", show_default=True, help="Another session, another conversation.")
@json_option
def command(bot: str, words: tuple[str, ...], root: Path, environment: str | None, session: str, as_json: bool) -> int:
    """Ask BOT by its configuration as it is now, and print its answer; TEXT - reads stdin.

    On a terminal the answer is shown while it is made. The conversation is the operator's own: remembered, marked as such,
    its tokens counted, and sent to nobody; Ctrl-C leaves it to finish by itself. Exit code 1 when no answer can be had.
    """
    from console.asking import actor, ask
    from console.output import print_json, visible

    text = sys.stdin.read() if words == ("-",) else " ".join(words)
    grows = sys.stdout.isatty() and not as_json
    said = ask(
        root,
        environment,
        lambda remote: (
            _shown(remote.saying(bot, text, session=session, actor=actor()))
            if grows
            else remote.say(bot, text, session=session, actor=actor())
        ),
    )
    if as_json:
        print_json(said)
        return exits.FAILURE if said["error"] else exits.OK
    if said["error"]:
        click.echo(f"error: no answer: {visible(said['error'])}", err=True)
        return exits.FAILURE
    if not grows:
        click.echo("\n".join(map(visible, said["text"].split("\n"))))
    who = "/".join(filter(None, (said["provider"], said["model"])))
    cost = f"{said['tokens_in']} + {said['tokens_out']} tokens, {said['latency_s']:.1f} s"
    click.echo(f"({visible(who)}, {cost})", err=True)
    return exits.OK


async def _shown(frames: AsyncIterator[Saying]) -> Said:
    """Print an answer as it grows; return it."""
    growing = Growing()
    try:
        async with aclosing(cast("Any", frames)) as coming:
            async for frame in coming:
                growing.take(frame)
    finally:
        growing.break_line()
    assert frame["said"] is not None, "the last frame is the whole answer"
    return cast("Said", frame["said"])


class Growing:
    """An answer on a terminal, which is only ever added to: text on stdout, the tools called on stderr."""

    def __init__(self) -> None:
        self._text = ""
        self._tools = 0
        self._amid = False

    def take(self, frame: Saying) -> None:
        """Print what is new; after what was taken back, from the beginning."""
        from console.output import visible

        for run in frame["tools"][self._tools :]:
            self.break_line()
            click.echo(f"(tool {visible(run['tool'])} …)", err=True)
        self._tools = max(self._tools, len(frame["tools"]))
        said = frame["said"]
        if said is not None and said["error"]:
            return
        text = said["text"] if said is not None else self._text[: frame["keep"]] + frame["more"]
        if not text.startswith(self._text):
            self.break_line()
            click.echo("(begins anew)", err=True)
            self._text = ""
        self._add(text[len(self._text) :])
        self._text = text

    def break_line(self) -> None:
        """Begin a line, unless one has just begun."""
        if self._amid:
            click.echo()
            self._amid = False

    def _add(self, more: str) -> None:
        from console.output import visible

        if more:
            click.echo("\n".join(map(visible, more.split("\n"))), nl=False)
            self._amid = not more.endswith("\n")
