"""From what the files say to what counts: variables put in, secrets fetched and wrapped."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.dotenv import Variables
from config.expand import Budget, expand, has_reference, looks_secret
from config.files import Signature, signature_at
from config.keys import Key, KeyPath, key_at
from config.merge import Layer, Place, place_in
from config.references import ReferenceFailed, References
from config.resolve import Fault
from config.vocabulary import Secret

MIN_SECRET_CHARS = 6
"""Shorter secrets are not redacted from logs: they would blot out ordinary words."""


@dataclass(slots=True)
class Realised:
    """One pass over a bot's (or the fleet's) raw values.

    failed are paths whose value could not be had; what is said about them is in faults. depends are the
    files secrets were read from.
    """

    layers: Sequence[Layer]
    keys: Mapping[KeyPath, Key]
    references: References
    variables: Variables
    faults: list[Fault] = field(default_factory=list)
    failed: set[KeyPath] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set, repr=False)
    depends: dict[Path, Signature | None] = field(default_factory=dict)
    literal: list[KeyPath] = field(default_factory=list)
    budget: Budget = field(default_factory=Budget)

    def table(self, values: Mapping[str, Any], path: KeyPath = ()) -> dict[str, Any]:
        """Return a table's effective values; what failed is left out."""
        out = {}
        for key, value in values.items():
            if isinstance(value, str):
                made = self._text(value, (*path, key))
                if made is not None:
                    out[key] = made
            elif isinstance(value, dict):
                out[key] = self.table(value, (*path, key))
            elif isinstance(value, list):
                out[key] = self._list(value, (*path, key))
            else:
                out[key] = value
        return out

    def has_failed(self, path: KeyPath) -> bool:
        """Tell whether the value at path, or a table around it, could not be had or is refused."""
        return any(path[:size] in self.failed for size in range(1, len(path) + 1))

    def place(self, path: KeyPath) -> Place:
        """Return where the value at path stands in the files."""
        place = place_in(self.layers, path)
        assert place is not None, "every value of a pass comes from a layer"
        return place

    def _list(self, values: list[Any], path: KeyPath) -> list[Any]:
        out = []
        for index, value in enumerate(values):
            if isinstance(value, str):
                out.append(self._text(value, (*path, index)))
            elif isinstance(value, dict):
                out.append(self.table(value, (*path, index)))
            elif isinstance(value, list):
                out.append(self._list(value, (*path, index)))
            else:
                out.append(value)
        return out

    def _text(self, text: str, path: KeyPath) -> Any:
        """Return what a text stands for; None after a fault."""
        key = self.keys.get(path) or key_at(self.keys, path)
        if key is not None and key.secret:
            return self._secret(text, path, told=path[-1] not in key.path)
        made = self._expanded(text, path) if has_reference(text) else text
        if made is None:
            return None
        if key is None:
            # A name nobody declared, as in [llm.options]: only its name tells what it holds.
            if looks_secret(str(path[-1])):
                self._keep(made)
            return made
        return made if key.kind is str or made is text else _as_kind(made, key.kind)

    def _secret(self, text: str, path: KeyPath, *, told: bool) -> Secret | None:
        """Return a secret. told: it has no name of ours (a header), so that it may well be none."""
        if text.startswith("file:"):
            made = self._from_file(text[5:], path)
        elif text.startswith("cmd:"):
            made = self._from_command(text[4:], path)
        else:
            plain = not has_reference(text)
            if plain and told and not looks_secret(str(path[-1])):
                return Secret(text)
            if plain:
                self.literal.append(path)
            made = self._expanded(text, path)
        if made is None:
            return None
        self._keep(made)
        scheme, _, credentials = made.partition(" ")
        if scheme.isalpha() and credentials.strip().isprintable():
            self._keep(credentials.strip())  # "Bearer …": who quotes it leaves the first word out
        return Secret(made)

    def _from_file(self, name: str, path: KeyPath) -> str | None:
        name = self._expanded(name.strip(), path) or ""
        if path in self.failed:
            return None
        file = self.references.path_of(name)
        try:
            made, self.depends[file] = self.references.file(file)
        except ReferenceFailed as error:
            self.depends[file] = signature_at(file)
            self._fail(path, error.message, error.hint)
            return None
        return made

    def _from_command(self, line: str, path: KeyPath) -> str | None:
        try:
            # Split before variables are put in: a blank in a variable makes no new argument.
            argv = [self._expanded(word, path) or "" for word in shlex.split(line)]
        except ValueError:
            self._fail(path, "the quotes of the command are not closed", "cmd:program 'one argument'")
            return None
        if path in self.failed:
            return None
        try:
            return self.references.command(self.place(path).source.path, argv)
        except ReferenceFailed as error:
            self._fail(path, error.message, error.hint)
            return None

    def _expanded(self, text: str, path: KeyPath) -> str | None:
        expansion = expand(text, self.variables, budget=self.budget)
        for secret in expansion.secrets:
            self._keep(secret)
        for message, hint in expansion.failures:
            self._fail(path, message, hint)
        return None if expansion.failures else expansion.text

    def _keep(self, secret: str) -> None:
        if len(secret) >= MIN_SECRET_CHARS:
            self.secrets.add(secret)

    def _fail(self, path: KeyPath, message: str, hint: str) -> None:
        self.failed.add(path)
        self.faults.append(Fault(self.place(path), message, hint))


def _as_kind(text: str, kind: type) -> Any:
    """Return text as the number or truth its key takes; as it is when it is none, which validation will say."""
    if kind is bool:
        return {"true": True, "false": False}.get(text, text)
    if kind not in {int, float}:
        return text
    try:
        return kind(text)
    except ValueError:
        return text
