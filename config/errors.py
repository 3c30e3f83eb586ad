"""The errors of the configuration.

FleetError                    anything botdeck refuses or fails at: a sentence and a hint
└── ConfigError               the folder's files are not a fleet
    └── ConfigInvalid         one or more located problems (`problems`)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class FleetError(Exception):
    """Root of every error botdeck raises on purpose.

    message says what and where, hint says what to do. Neither ever holds a secret.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the files, and where.

    line and column count from 1; 0 means the whole file. bot_id is None for fleet-wide files.
    """

    file: Path
    line: int
    column: int
    key: str
    message: str
    hint: str = ""
    bot_id: str | None = None

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else str(self.file)
        key = f" {self.key}:" if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}:{key} {self.message}{hint}"


class ConfigError(FleetError):
    """The folder's files are not a fleet."""

    exit_code = 2


class ConfigInvalid(ConfigError):
    """One or more located problems, all of them at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        count = f"{len(problems)} problems" if len(problems) != 1 else "1 problem"
        super().__init__(f"{count} in the configuration:\n" + "\n".join(map(str, problems)))
        self.problems = problems
