"""Loading a fleet's folder into a snapshot, cheaply again and again.

What was read is kept per file with its signature: a load costs one `stat` a file, and what changed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from config.build import Built, Shared, build_bot, problems_of
from config.checks import contested
from config.errors import ConfigError, Problem
from config.files import BOTS_DIR, Signature, Source, bad_name, bot_files, is_folder, is_toml_name, signature_at
from config.mapping import Foundation
from config.references import signatures
from config.resolve import Fault
from config.shared import SharedFiles
from config.snapshot import BotSpec, LayerName, Origin, Snapshot

__all__ = ["BotSpec", "LayerName", "Loader", "Origin", "Snapshot"]


@dataclass(slots=True)
class _Entry:
    """One bot file as last read, and what became of it."""

    bot_id: str
    source: Source
    signature: Signature | None
    built: Built = field(default_factory=Built)
    spec: BotSpec | None = None


class Loader:
    """Reads the folder of one fleet; keeps what it read, so that the next load costs what changed.

    environment is what `--env` named (None: BOTDECK_ENV, else fleet.toml decides); environ stands for the
    process environment and is looked at live. One thread at a time may use a loader.
    """

    def __init__(
        self,
        root: Path,
        *,
        environment: str | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.root = Path(root).absolute()
        self._shared = SharedFiles(self.root, environment, os.environ if environ is None else environ)
        self._entries: dict[str, _Entry] = {}
        self._strangers: dict[str, Problem] = {}
        self._kept: dict[str, BotSpec] = {}
        self._unlisted: tuple[Problem, ...] = ()
        self._loaded = False

    def load(self, changed: Collection[Path] | None = None, *, renew_secrets: bool = False) -> Snapshot:
        """Return the configuration as it is now. Synchronous: off the event loop, please (it may run commands).

        changed names the only paths to look at, and forces them to be read whatever their signature; a folder
        (bots/, environments/, the root) stands for all in it. None looks at everything. renew_secrets fetches
        every `file:` and `cmd:` secret again; otherwise a command runs again only when `.env` or the file that
        names it changed.

        Never raises for bad files, they are `problems`. A bot whose file is bad is not in `bots`. While
        fleet.toml or the environment is bad, bots go on with its last good state; when it was never good, no
        bot is in `bots`. Raises ConfigError when the root is no folder.
        """
        if not is_folder(self.root):
            raise ConfigError(f"{self.root} is no folder", "name the fleet's folder with -C, or make one: botdeck init")
        hint = None if changed is None else _Hint.of(self.root, changed)
        if hint is not None and (hint.everything or not self._loaded):
            hint = None
        shared_paths = None if hint is None else hint.shared | hint.others
        rebuilt = self._shared.refresh(shared_paths, renew_secrets=renew_secrets)
        if hint is None or hint.all_bots:
            self._scan(renew_secrets=renew_secrets or rebuilt)
        else:
            self._look_at(hint, rebuild_all=renew_secrets or rebuilt)
        self._loaded = True
        return self._snapshot()

    def foundation(self) -> Foundation:
        """Return what bots that are no file's stand on in this folder: what its files did at the last load."""
        return Foundation.over(self._shared.current)

    def attempt(self, bot_id: str, text: str) -> tuple[BotSpec | None, tuple[Problem, ...]]:
        """Return what a text would be in place of a bot's file, and all that is wrong with it. Changes nothing.

        Synchronous, as `load`: a command it names anew is run.
        """
        path = self.root / BOTS_DIR / f"{bot_id}.toml"
        built = build_bot(bot_id, Source.of_text(path, text, bot_id), self._shared.current)
        others = [e.bot_id for e in self._entries.values() if e.bot_id != bot_id and e.built.claim == built.claim]
        problems = built.problems
        if built.claim is not None and others and built.recipe is not None:
            trial = _Entry(bot_id, Source(path, text), None, built)
            problems += self._claimed(trial, built.claim, ", ".join(f"{BOTS_DIR}/{other}.toml" for other in others))
        spec = BotSpec(bot_id, built.config, path, built.digest, built.recipe) if built.config is not None else None
        return spec, problems

    def attempt_fleet(self, text: str) -> tuple[Snapshot, tuple[Problem, ...]]:
        """Return what the fleet would be with a text in place of fleet.toml, and all that is wrong with it: bots that it
        would break included. Changes nothing. Synchronous, as `load`.
        """
        trial = self._shared.attempt(text)
        bots: dict[str, BotSpec] = {}
        problems = trial.problems
        # Without a change beneath them no bot has to be built again.
        same = self._shared.usable and _beneath(trial.shared) == _beneath(self._shared.current)
        for entry in self._entries.values():
            built = entry.built if same else build_bot(entry.bot_id, entry.source, trial.shared)
            if built.config is not None:
                path = entry.source.path
                bots[entry.bot_id] = BotSpec(entry.bot_id, built.config, path, built.digest, built.recipe)
            elif entry.spec is not None:
                bots[entry.bot_id] = entry.spec
                problems += tuple(p for p in built.problems if _said(p) not in set(map(_said, problems)))
        found = Snapshot(self.root, trial.fleet, trial.environment, bots, problems, trial.secrets)
        return found, problems

    def _scan(self, *, renew_secrets: bool) -> None:
        """Look at every bot file there is."""
        self._unlisted = ()
        try:
            present = dict(bot_files(self.root))
        except OSError as error:
            # Not the same as an empty folder: that would stop every bot.
            message, hint = f"cannot be listed: {error.strerror}", "it must be a folder the user of botdeck may read"
            self._unlisted = (Problem(self.root / BOTS_DIR, 0, 0, "", message, hint),)
            return
        gone = self._entries.keys() | self._strangers.keys()
        for path, signature in present.items():
            gone.discard(path.name)
            self._visit(path, signature, force=False, rebuild=renew_secrets)
        for name in gone:
            self._forget(name)

    def _look_at(self, hint: _Hint, *, rebuild_all: bool) -> None:
        """Look at the files named only."""
        for path in hint.bots:
            if path.exists() or path.is_symlink():
                self._visit(path, signature_at(path), force=True, rebuild=False)
            else:
                self._forget(path.name)
        for entry in list(self._entries.values()):
            if rebuild_all or any(path in hint.others for path in entry.built.depends):
                self._build(entry)

    def _visit(self, path: Path, signature: Signature | None, *, force: bool, rebuild: bool) -> None:
        entry = self._entries.get(path.name)
        touched = entry is None or force or signature is None or entry.signature != signature
        if touched and self._read(path, entry):
            return
        if entry is not None and (rebuild or not signatures(entry.built.depends)):
            self._build(entry)

    def _read(self, path: Path, entry: _Entry | None) -> bool:
        """Read a bot file and build the bot when it says something new; tells whether it does."""
        if (problem := bad_name(path)) is not None:
            self._strangers[path.name] = problem
            return True
        source = Source.read(path, path.name.removesuffix(".toml"))
        if entry is not None:
            entry.signature = source.signature
            if entry.source.text == source.text and entry.source.problem == source.problem:
                return False
            self._shared.references.forget(path)
        self._entries[path.name] = made = _Entry(path.name.removesuffix(".toml"), source, source.signature)
        self._build(made)
        return True

    def _forget(self, name: str) -> None:
        self._strangers.pop(name, None)
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._shared.references.forget(entry.source.path)

    def _build(self, entry: _Entry) -> None:
        entry.built = built = build_bot(entry.bot_id, entry.source, self._shared.current)
        entry.spec = None
        if built.config is not None:
            entry.spec = BotSpec(entry.bot_id, built.config, entry.source.path, built.digest, built.recipe)

    def _snapshot(self) -> Snapshot:
        entries = sorted(self._entries.values(), key=lambda entry: entry.bot_id)
        rivals = self._rivals(entries)
        usable = self._shared.usable
        bots = {e.bot_id: e.spec for e in entries if e.spec is not None and usable and e.bot_id not in rivals}
        self._kept = {e.bot_id: last for e in entries if (last := bots.get(e.bot_id) or self._kept.get(e.bot_id))}
        problems = [*self._shared.problems, *self._unlisted, *self._strangers.values()]
        said = {_said(problem) for problem in self._shared.problems}
        for entry in entries:
            problems += (*entry.built.problems, *rivals.get(entry.bot_id, ()))
        return Snapshot(
            root=self.root,
            fleet=self._shared.fleet,
            environment=self._shared.environment,
            bots=bots,
            # What is wrong in a shared file is said once, not once for every bot.
            problems=tuple(p for p in problems if p.bot_id is None or not said or _said(p) not in said),
            secrets=self._shared.secrets.union(*(e.built.secrets for e in entries if e.built.secrets)),
            warnings=(*self._shared.warnings, *(w for e in entries for w in e.built.warnings)),
            kept={bot_id: spec for bot_id, spec in self._kept.items() if bot_id not in bots},
        )

    def _rivals(self, entries: Collection[_Entry]) -> dict[str, tuple[Problem, ...]]:
        """Return bot_id → problem for every bot whose Telegram id another one claims too."""
        found = contested((entry.bot_id, entry.built.claim) for entry in entries)
        rivals: dict[str, tuple[Problem, ...]] = {}
        for telegram_id, bot_ids in found.items():
            for bot_id in bot_ids:
                # A good bot does not give way to a file that is refused for something else.
                good = self._entries[f"{bot_id}.toml"].spec is not None
                if good and not any(self._entries[f"{other}.toml"].spec for other in bot_ids if other != bot_id):
                    continue
                others = ", ".join(f"{BOTS_DIR}/{other}.toml" for other in bot_ids if other != bot_id)
                rivals[bot_id] = self._claimed(self._entries[f"{bot_id}.toml"], telegram_id, others)
        return rivals

    def _claimed(self, entry: _Entry, telegram_id: int, others: str) -> tuple[Problem, ...]:
        assert entry.built.recipe is not None, "only a built bot has a token to be claimed"
        place = entry.built.recipe.place(("telegram", "token"))
        message = f"Telegram bot {telegram_id} is claimed by {others} too"
        fault = Fault(place, message, "one bot, one file: give each its own token, or set enabled = false in one")
        return problems_of([fault], entry.bot_id, entry.built.secrets)


def _beneath(shared: Shared) -> tuple[object, ...]:
    """Return all that a bot may inherit from what all bots are built on."""
    source = shared.environment.source
    return shared.base, shared.environment.name, source.text if source is not None else None


def _said(problem: Problem) -> tuple[Path, int, int, str]:
    return problem.file, problem.line, problem.column, problem.message


@dataclass(slots=True)
class _Hint:
    """Changed paths, sorted by what they concern."""

    bots: set[Path] = field(default_factory=set)
    shared: set[Path] = field(default_factory=set)
    others: set[Path] = field(default_factory=set)
    all_bots: bool = False
    everything: bool = False

    @classmethod
    def of(cls, root: Path, changed: Collection[Path]) -> _Hint:
        hint = cls()
        for path in changed:
            hint._add(root, Path(path).absolute())
        return hint

    def _add(self, root: Path, path: Path) -> None:
        bots = root / BOTS_DIR
        if path == root:
            self.everything = True
        elif path == bots:
            self.all_bots = True
        elif path.parent == bots and is_toml_name(path.name):
            self.bots.add(path)
        elif path.is_relative_to(root) and SharedFiles.concerns(path.relative_to(root)):
            self.shared.add(path)
        else:
            self.others.add(path)
