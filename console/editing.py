"""Editing a file of the fleet from the command line: a private copy, an editor, a check, a question, and only then the file."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, Protocol

import click

from config.errors import ConfigError, FleetError
from config.vocabulary import FLEET
from console import exits
from console.answers import ConfigFile
from console.asking import actor
from console.output import style, visible
from console.place import Place
from console.rows import change_words, problem_words

FLEET_TOML: Final = "fleet.toml"
"""How the file all bots share is asked for; no bot can be called so."""
MARK: Final = "#! "
"""Begins the lines put on top of a text with mistakes; they are taken out again."""
DISTURBANCE: Final = {
    "nothing": "nothing changes for the bot",
    "in_place": "applied in place",
    "next_turn": "applied with the next turn",
    "restart": "bots are restarted",
    "fleet": "applied when the fleet is started again",
}


class Desk(Protocol):
    """Where a file is read, tried and saved: the running fleet, or the folder of one that does not run."""

    async def config_file(self, bot_id: str) -> ConfigFile:
        """As Control.config_file."""
        ...

    async def preview(self, bot_id: str, text: str) -> Any:
        """As Control.preview."""
        ...

    async def save_config(self, bot_id: str, text: str, *, expected_digest: str, actor: str) -> dict[str, Any]:
        """As Control.save_config."""
        ...


class FolderDesk:
    """The files of a fleet that does not run."""

    def __init__(self, root: Path, environment: str | None) -> None:
        self._root = root
        self._environment = environment

    async def config_file(self, bot_id: str) -> ConfigFile:
        """As Control.config_file. Raises ConfigError."""
        from config.files import Unreadable, read_text
        from config.write import bot_path
        from console.paperwork import digest_of

        path = self._root / FLEET_TOML if bot_id == FLEET else bot_path(self._root, bot_id)
        try:
            text = read_text(path)[0]
        except Unreadable as error:
            if bot_id != FLEET or os.path.lexists(path):  # noqa: ASYNC240 (nobody else runs on this loop)
                raise ConfigError(f"{path} {error.message}", error.hint) from None
            text = ""  # a fleet may do without one
        return {"bot_id": bot_id, "file": str(path), "text": text, "digest": digest_of(text)}

    async def preview(self, bot_id: str, text: str) -> dict[str, Any]:
        """Check a text by the loader; nobody runs, so nobody is disturbed."""
        from config.load import Loader
        from console.paperwork import diff_of
        from console.rows import problem_row

        loader = Loader(self._root, environment=self._environment)
        loader.load()
        _, problems = loader.attempt_fleet(text) if bot_id == FLEET else loader.attempt(bot_id, text)
        found = await self.config_file(bot_id)
        diff = diff_of(Path(found["file"]), found["text"], text)
        return {"problems": [problem_row(p) for p in problems], "diff": diff, "disturbs": "", "changes": []}

    async def save_config(self, bot_id: str, text: str, *, expected_digest: str, actor: str) -> dict[str, Any]:
        """As Control.save_config; actor is of no use, as nobody keeps a journal."""
        from console.paperwork import replace_expected

        replace_expected(Path((await self.config_file(bot_id))["file"]), text, expected_digest)
        return {"changes": [], "problems": []}


async def edit(place: Place, environment: str | None, name: str, yes: bool) -> int:
    """Edit the file of a bot, or fleet.toml where that is the name; return the exit code.

    Raises FleetErrors, each naming the copy when one is kept.
    """
    bot_id = FLEET if name == FLEET_TOML else name
    desk = await _desk(place, environment)
    found = await desk.config_file(bot_id)
    copy = _copy_of(name.removesuffix(".toml"), found["text"])
    try:
        code = await _edit(desk, found, copy, yes=yes)
    except (FleetError, click.ClickException, click.Abort, OSError, KeyboardInterrupt):
        _keep(copy, found["text"])
        raise
    _throw_away(copy)
    return code


async def _desk(place: Place, environment: str | None) -> Desk:
    from console.attach import connect
    from console.lock import owner_of

    if owner_of(place.database) is not None:
        return await connect(place)
    return FolderDesk(place.root, environment)


async def _edit(desk: Desk, found: ConfigFile, copy: Path, *, yes: bool) -> int:
    bot_id, before = found["bot_id"], ""
    while True:
        _open(copy)
        text = without_marks(_read(copy))
        if text == found["text"]:
            click.echo("nothing changed", err=True)
            return exits.OK
        seen = await desk.preview(bot_id, text)
        problems = [problem_words(problem) for problem in seen["problems"]]
        if not problems:
            break
        _write(copy, with_marks(text, problems))
        if text == before or not sys.stdin.isatty():
            # Looked at twice and left as it is, or nobody to look again.
            raise ConfigError(f"{named(bot_id)} was not saved: {problems[0]}", f"{len(problems)} to mend in all")
        before = text
    _show(seen)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("saving needs --yes, as there is no terminal to ask on")
        click.confirm("save it?", default=True, abort=True, err=True)
    done = await desk.save_config(bot_id, text, expected_digest=found["digest"], actor=actor())
    click.echo(f"saved {found['file']}")
    for change in done["changes"]:
        click.echo(f"{named(change['bot_id'])}: {change_words(change)}")
    return exits.OK


def named(bot_id: str) -> str:
    """Return a bot as a person calls it; the fleet itself by its file."""
    return FLEET_TOML if bot_id == FLEET else bot_id


def _copy_of(name: str, text: str) -> Path:
    """Return a copy only we may read: the file may hold a token."""
    descriptor, path = tempfile.mkstemp(prefix=f"{name}-", suffix=".toml")
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
    return Path(path)


def _read(copy: Path) -> str:
    """Return what was typed. Raises ConfigError."""
    try:
        return copy.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{copy} cannot be read: {error}", "save it as UTF-8") from None


def _write(copy: Path, text: str) -> None:
    copy.write_bytes(text.encode())


def _throw_away(copy: Path) -> None:
    copy.unlink(missing_ok=True)


def _keep(copy: Path, before: str) -> None:
    """Say where what was typed is kept; a copy nobody changed is taken away."""
    try:
        unchanged = without_marks(_read(copy)) == before
    except ConfigError:
        unchanged = False  # whatever it holds now, it is not ours to throw away
    if unchanged:
        copy.unlink()
        return
    click.echo(f"what you typed is kept in {copy}", err=True)


def _open(copy: Path) -> None:
    """Let a person edit the copy. Raises ConfigError when the editor cannot be run, or says that it failed."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        code = subprocess.call([*shlex.split(command), str(copy)])  # noqa: S603 (the operator's own words)
    except (OSError, ValueError) as error:
        raise ConfigError(f"the editor {command!r} cannot be run: {error}", "set VISUAL or EDITOR") from None
    if code:
        raise ConfigError(f"the editor {command!r} ended with exit code {code}", "nothing was saved")


def with_marks(text: str, problems: list[str]) -> str:
    """Return a text with what is wrong with it on top."""
    lines = [f"{MARK}{visible(line)}" for problem in problems for line in problem.splitlines()]
    return "\n".join([*lines, f"{MARK}(these lines are taken out again)", text])


def without_marks(text: str) -> str:
    """Return a text without the lines put on top of it."""
    lines = text.splitlines(keepends=True)
    while lines and lines[0].startswith(MARK):
        del lines[0]
    return "".join(lines)


def _show(seen: dict[str, Any]) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    for line in seen["diff"].splitlines():
        click.echo(style(visible(line), fg=colours.get(line[:1])))
    if seen["disturbs"]:
        click.echo(f"\n{DISTURBANCE[seen['disturbs']]}", err=True)
