"""`${NAME}`, `${NAME:-default}` and `${NAME:?text}` in texts, each expanded once. `$${` stands for a literal `${`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches

from config.dotenv import Variables
from config.files import MAX_BYTES
from config.vocabulary import Secret

_START = re.compile(r"\$?\$\{")
_BODY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::(-|\?)(.*))?", re.DOTALL)
_SECRET_NAME = re.compile(
    r"token|secret|passw|passphrase|credential|private|api_?key|auth|(?:^|_|-)(?:key|pass|pw|pwd)(?:$|_|-)",
    re.IGNORECASE,
)


def looks_secret(name: str) -> bool:
    """Tell whether a variable or key of this name is likely to hold a secret."""
    return _SECRET_NAME.search(name) is not None


@dataclass(slots=True)
class Budget:
    """How many characters one bot's texts may still expand to."""

    left: int = MAX_BYTES


@dataclass(slots=True)
class Expansion:
    """A text with its variables put in; failures are (message, hint), secrets the values not to be shown."""

    text: str = ""
    failures: list[tuple[str, str]] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list, repr=False)


def has_reference(text: str) -> bool:
    """Tell whether expanding text could change it."""
    return "${" in text


def has_variable(text: str) -> bool:
    """Tell whether a variable stands in text, well written, whether it is set or not."""
    at = 0
    while (match := _START.search(text, at)) is not None:
        at = match.end()
        if match[0] == "$${":
            continue
        end = text.find("}", at)
        if end < 0:
            return False
        if _BODY.fullmatch(text, at, end):
            return True
        at = end + 1
    return False


def expand(text: str, variables: Variables, *, budget: Budget | None = None, mask: bool = False) -> Expansion:
    """Put variables into text. What is put in is not looked at again.

    With mask, variables with secret-looking names give the mask. All failures are collected; the text is
    then not to be used.
    """
    expansion, pieces, at = Expansion(), [], 0
    left = budget.left if budget else MAX_BYTES
    while (match := _START.search(text, at)) is not None:
        pieces.append(text[at : match.start()])
        if match[0] == "$${":
            pieces.append("${")
            at = match.end()
            continue
        end = text.find("}", match.end())
        body = text[match.end() : end] if end >= 0 else None
        pieces.append(_value(body, variables, expansion, mask))
        left -= len(pieces[-1])
        if left < 0:
            expansion.failures.append((f"expands to more than {MAX_BYTES // 1024} KiB", "use smaller variables"))
            return expansion
        at = end + 1 if end >= 0 else len(text)
    expansion.text = "".join([*pieces, text[at:]])
    if budget:
        budget.left = left
    return expansion


def _value(body: str | None, variables: Variables, expansion: Expansion, mask: bool) -> str:
    if body is None:
        expansion.failures.append(("a ${ is never closed", "write $${ for a literal ${"))
        return ""
    match = _BODY.fullmatch(body)
    if match is None or "${" in body:
        what = "references cannot stand inside each other" if "${" in body else "what stands in ${…} is no name"
        expansion.failures.append((what, "write ${NAME}, ${NAME:-default} or ${NAME:?text}; $${ for a literal ${"))
        return ""
    name, operator, word = match.groups()
    value = _looked_up(name, operator, word, variables, expansion)
    if looks_secret(name):
        expansion.secrets.append(value)
        return Secret.MASK if mask and value else value
    return value


def _looked_up(name: str, operator: str | None, word: str, variables: Variables, expansion: Expansion) -> str:
    value = variables.get(name)
    if value or (value is not None and operator is None):
        return value
    if operator == "-":
        return word
    if operator == "?":
        expansion.failures.append((f"the variable {name} is not set: {word}", _where_to_set(name, variables)))
    else:
        expansion.failures.append((f"the variable {name} is not set", _where_to_set(name, variables)))
    return ""


def _where_to_set(name: str, variables: Variables) -> str:
    near = get_close_matches(name, list(variables.names()), n=1, cutoff=0.8)
    also = f"; did you mean {near[0]}?" if near else ""
    return f"set it in the environment or in .env{also}"
