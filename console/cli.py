"""The command line: one table of commands, each imported when it is used.

A command lives in `console/commands/<module>.py` as `command: click.Command`. Its heavy imports stand inside its
callback, so that `--help` of anything answers at once. A callback may return an exit code (`console/exits.py`).
"""

from __future__ import annotations

import io
import sys
from importlib import import_module, metadata
from typing import Any

import click

from config.errors import FleetError
from console import exits
from console.output import forgive, say_lines

TREE: dict[str, Any] = {
    "init": ("init", "Write a new fleet folder that runs as it is."),
    "run": ("run", "Run the fleet of a folder."),
    "attach": ("attach", "Open the console of a running fleet."),
    "watch": ("watch", "Watch the fleet in a few lines, without a screen of its own."),
    "serve": ("serve", "Show the console of a running fleet in a browser."),
    "demo": ("demo", "Run a small fleet against an embedded Telegram, with scripted people."),
    "sandbox": ("sandbox", "Run the embedded Telegram alone, to try a fleet without a token."),
    "check": ("check", "Check every file of the fleet and say all that is wrong."),
    "status": ("status", "Show every bot: phase, conditions, counters."),
    "logs": ("logs", "Show or follow the log of bots."),
    "events": ("events", "Show or follow what happened, and who did it."),
    "start": ("start", "Start bots."),
    "stop": ("stop", "Stop bots; turns in flight are finished."),
    "restart": ("restart", "Restart bots; turns in flight are finished."),
    "pause": ("pause", "Let bots stop taking messages, staying ready."),
    "resume": ("resume", "Let paused bots take messages again."),
    "reset": ("reset", "Forget a bot's failures and try it again."),
    "reload": ("reload", "Read the fleet's files anew now."),
    "edit": ("edit", "Edit a bot's file, or fleet.toml; it is checked before it is saved."),
    "say": ("say", "Talk to a bot as its operator."),
    "conversations": ("conversations", "List a bot's conversations, or read one."),
    "usage": ("usage", "Show what bots spent, in tokens and dollars."),
    "profile": ("profile", "Show or edit what a bot knows of a person."),
    "access": ("access", "Show who may talk to a bot; let people in, shut them out."),
    "pair": ("pair", "Make a one-time code that lets somebody talk to a bot."),
    "backup": ("backup", "Copy the database of a fleet, running or not, and verify the copy."),
    "doctor": ("doctor", "Look for what could keep a fleet from running."),
    "completion": ("completion", "Print the completion script of a shell."),
    "bot": {
        "": "List, add, move and remove bots.",
        "list": ("bot_list", "List the bots of the folder."),
        "info": ("bot_info", "Show all that is known of one bot."),
        "add": ("bot_add", "Validate a token and write a new bot file."),
        "remove": ("bot_remove", "Remove a bot: its file and all its rows."),
        "export": ("bot_export", "Write one bot's rows into a portable file."),
        "import": ("bot_import", "Read one bot's rows from a portable file."),
    },
    "key": {
        "": "Make, list and revoke keys of the HTTP API.",
        "add": ("key_add", "Make a key of the HTTP API."),
        "list": ("key_list", "List the keys of the HTTP API."),
        "revoke": ("key_revoke", "Let a key of the HTTP API be good no more."),
    },
    "config": {
        "": "Show what the files say, and what they may say.",
        "show": ("config_show", "Show the effective configuration of a bot."),
        "schema": ("config_schema", "Print the JSON Schema of fleet.toml or a bot file."),
    },
}
"""Name → (module, help) of a command, or a group of such."""

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def __init__(self, tree: dict[str, Any], **attrs: Any) -> None:
        super().__init__(no_args_is_help=True, context_settings=CONTEXT, **attrs)
        self.tree = tree

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return [name for name in self.tree if name]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command."""
        entry = self.tree.get(cmd_name)
        if entry is None:
            return None
        if isinstance(entry, dict):
            return LazyGroup(entry, name=cmd_name, help=entry[""])
        command: click.Command = import_module(f"console.commands.{entry[0]}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        rows = [(n, e[""] if isinstance(e, dict) else e[1]) for n, e in self.tree.items() if n]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Name the nearest command for a typo."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near or "Did you mean" in error.message:
                raise
            raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from None


def _print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"botdeck {version()}")
        ctx.exit()


def version() -> str:
    """Return the installed version of botdeck."""
    try:
        return metadata.version("botdeck")
    except metadata.PackageNotFoundError:
        return "0+unknown"


app = LazyGroup(
    TREE,
    name="botdeck",
    help="Run a fleet of LLM-backed Telegram bots from a folder of TOML files.",
    epilog="Example: botdeck init mybots && botdeck run --no-ui -C mybots",
    params=[
        click.Option(
            ["-V", "--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version.",
        )
    ],
)


def run(args: list[str] | None = None) -> int:
    """Run one command line. Returns the exit code; every FleetError becomes a sentence and a hint on stderr."""
    forgive((sys.stdout, sys.stderr))
    try:
        code = app.main(args, prog_name="botdeck", standalone_mode=False)
    except FleetError as error:
        return complain(error)
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        say_lines(told.getvalue().rstrip("\n"), err=True)  # it quotes what was typed, or what a shell made of it
        return exits.USAGE if isinstance(error, click.UsageError) else error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("aborted", err=True)
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left (`| head`): not our failure, and nothing more can be said.
        sys.stderr.close()
        return exits.OK
    return code if isinstance(code, int) else exits.OK


def complain(error: FleetError) -> int:
    """Print an error for people. Returns its exit code."""
    say_lines(f"error: {error.message}", err=True)
    if error.hint:
        say_lines(f"hint: {error.hint}", err=True)
    return error.exit_code
