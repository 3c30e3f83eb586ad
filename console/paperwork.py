"""The fleet's files as an operator edits them: read, tried, saved, added. What is saved is taken up at once."""

from __future__ import annotations

import difflib
import hashlib
import os
from pathlib import Path
from typing import Any, Final

import anyio

from config.change import BotChange, changed_keys, strongest
from config.errors import ConfigError, ConfigInvalid, FleetError, Problem
from config.files import DOTENV_FILE, FLEET_FILE, Unreadable, read_text
from config.snapshot import BotSpec
from config.vocabulary import FLEET, Effect
from config.write import replace_text
from console.adding import add
from console.answers import ConfigFile, Draft, Preview
from console.base import Within
from console.errors import BadRequest, Conflict
from console.rows import change_row, problem_row

DISTURBS: Final = {
    Effect.IN_PLACE: "in_place",
    Effect.NEXT_TURN: "next_turn",
    Effect.RESTART: "restart",
    Effect.FLEET: "fleet",
}


class Paperwork(Within):
    """The files of all bots, and the one they share."""

    def _path(self, bot_id: str) -> Path:
        """Return where a bot's file lies, or fleet.toml. Raises NoSuchBot."""
        if bot_id == FLEET:
            return self._fleet.place.root.absolute() / FLEET_FILE
        return self._file(self._known(bot_id))

    async def config_file(self, bot_id: str) -> ConfigFile:
        """As Control.config_file."""
        path = self._path(bot_id)
        text = await anyio.to_thread.run_sync(_read_fleet if bot_id == FLEET else _read, path)
        return {"bot_id": bot_id, "file": str(path), "text": text, "digest": digest_of(text)}

    async def preview(self, bot_id: str, text: str) -> Preview:
        """As Control.preview."""
        path = self._path(bot_id)
        before = await anyio.to_thread.run_sync(_read_if_there, path) or ""
        changes, problems = await self._attempt(bot_id, text)
        effect = strongest(change.effect for change in changes if change.effect)
        return {
            "ok": not problems,
            "problems": [problem_row(problem) for problem in problems],
            "changes": [change_row(change) for change in changes],
            "diff": diff_of(path, before, text),
            "disturbs": DISTURBS[effect] if effect else "nothing",
        }

    async def _attempt(self, bot_id: str, text: str) -> tuple[list[BotChange], tuple[Problem, ...]]:
        """Return what a text would change, the file's own first, and all that is wrong with it."""
        if bot_id != FLEET:
            spec, problems = await self._fleet.reloader.attempt(bot_id, text)
            keys, effect = _difference(self._fleet.spec(bot_id), spec)
            return ([BotChange(bot_id, "changed", effect, tuple(keys))] if keys else []), problems
        trial = await self._fleet.reloader.attempt_fleet(text)
        effect = strongest(effect for _, effect in trial.keys)
        own = [BotChange(FLEET, "changed", effect, tuple(key for key, _ in trial.keys))] if trial.keys else []
        return [*own, *(_as_started(change) for change in trial.bots)], trial.problems

    async def save_config(self, bot_id: str, text: str, *, expected_digest: str, actor: str) -> dict[str, Any]:
        """As Control.save_config."""
        self._refuse_when_closing()
        path = self._path(bot_id)
        tried, problems = await self._attempt(bot_id, text)
        if problems:
            raise ConfigInvalid(problems)
        await anyio.to_thread.run_sync(replace_expected, path, text, expected_digest)
        self._note("edit", bot_id, actor)
        changes = await self._fleet.reloader.reload([path], patient=False)
        latest = self._fleet.reloader.latest
        left = latest.fleet_problems if bot_id == FLEET else latest.problems_of(bot_id)
        return {
            "digest": digest_of(text),
            "changes": [change_row(change) for change in (*(c for c in tried if c.bot_id == FLEET), *changes)],
            "problems": [problem_row(problem) for problem in left],
        }

    async def add_bot(self, draft: Draft, *, actor: str) -> dict[str, Any]:
        """As Control.add_bot."""
        self._refuse_when_closing()
        if not draft.get("bot_id") or not draft.get("token"):
            raise BadRequest("a bot needs a name and a token")
        if draft["bot_id"] in self._fleet.pool.bot_ids():
            raise ConfigError(f"there is a bot {draft['bot_id']} already", "choose another name, or edit that one")
        fleet = self._fleet
        # A secret that was put there a moment ago may be named.
        await self._fleet.reloader.reload([self._fleet.place.root.absolute() / DOTENV_FILE])
        done = await add(fleet.place.root.absolute(), fleet.snapshot, draft, fleet.reloader.attempt)
        self._note("add", draft["bot_id"], actor)
        await self._fleet.reloader.reload(patient=False)
        return done


def digest_of(text: str) -> str:
    """Return the digest a saved text is recognised by."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _difference(before: BotSpec | None, after: BotSpec | None) -> tuple[list[str], Effect | None]:
    """Return what changes from one configuration to another, and the strongest effect of it."""
    if after is None:
        return [], None
    if before is None:
        return ["*"], Effect.RESTART
    keys = changed_keys(before.config, after.config)
    return [key for key, _ in keys], strongest(effect for _, effect in keys)


def _as_started(change: BotChange) -> BotChange:
    """Return a change with its effect named: a bot that could not run before is started."""
    return change if change.effect else BotChange(change.bot_id, change.kind, Effect.RESTART, ("*",))


def diff_of(path: Path, before: str, after: str) -> str:
    """Return what changes from one text of a file to another, as a unified diff; empty when nothing does."""
    shown = after.encode(errors="backslashreplace").decode()
    return "\n".join(difflib.unified_diff(before.splitlines(), shown.splitlines(), path.name, path.name, lineterm=""))


def _read_fleet(path: Path) -> str:
    """Return fleet.toml; a fleet may do without one."""
    return _read(path) if os.path.lexists(path) else ""


def _read(path: Path) -> str:
    try:
        return read_text(path)[0]
    except Unreadable as error:
        raise ConfigError(f"{path} {error.message}", error.hint) from None


def _read_if_there(path: Path) -> str | None:
    try:
        return _read(path)
    except FleetError:
        return None


def replace_expected(path: Path, text: str, expected_digest: str) -> None:
    """Put a text in the place of a file that is still as expected. Raises Conflict, ConfigError."""
    if path.name == FLEET_FILE and not os.path.lexists(path) and expected_digest == digest_of(""):
        path.touch()
    before = _read_if_there(path)
    if before is None or digest_of(before) != expected_digest:
        raise Conflict(f"{path} was changed meanwhile by somebody else", "look at it again; what you typed is kept")
    replace_text(path, text)
