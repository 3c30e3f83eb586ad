"""What a console remembers of a fleet between two sittings: sort, theme, what was typed. Outside the database.

It lies in `$XDG_STATE_HOME/botdeck/<12 hex of the folder>/console.json`. It is a convenience: whatever is wrong with
the file is forgotten, and a folder that cannot be written is reported once.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

HISTORY: Final = 50
"""How many typed lines are kept of each kind."""
FILE: Final = "console.json"


class Memory:
    """Settings and typed lines of one fleet's console. `folder` None remembers nothing beyond this sitting."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.fault = ""
        """Why the file could not be written, empty when it could."""
        self._values: dict[str, Any] = self._read()

    @classmethod
    def of(cls, root: Path, environ: Mapping[str, str] = os.environ) -> Self:
        """Return the memory of the fleet in a folder."""
        name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:12]
        return cls(state_home(environ) / name)

    def text(self, name: str, default: str = "") -> str:
        """Return a remembered text."""
        value = self._values.get(name, default)
        return value if isinstance(value, str) else default

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a remembered yes or no."""
        value = self._values.get(name, default)
        return value if isinstance(value, bool) else default

    def put(self, **values: str | bool) -> None:
        """Remember settings, and write them down when they changed."""
        if any(self._values.get(name) != value for name, value in values.items()):
            self._values.update(values)
            self._write()

    def history(self, kind: str) -> list[str]:
        """Return lines typed before, the newest last."""
        lines = self._values.get(f"history.{kind}", [])
        return [line for line in lines if isinstance(line, str)] if isinstance(lines, list) else []

    def typed(self, kind: str, line: str) -> None:
        """Remember a typed line; one typed before moves to the end."""
        if line.strip():
            lines = [*(old for old in self.history(kind) if old != line), line]
            self._values[f"history.{kind}"] = lines[-HISTORY:]
            self._write()

    def keymaps(self) -> list[Path]:
        """Return where the operator's own keys may be written, the more particular file last."""
        return [self.folder.parent / "keys.toml", self.folder / "keys.toml"] if self.folder else []

    def _read(self) -> dict[str, Any]:
        if self.folder is None:
            return {}
        try:
            values = json.loads((self.folder / FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return values if isinstance(values, dict) else {}

    def _write(self) -> None:
        """Write in place of the file before, whole or not at all."""
        if self.folder is None:
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self.folder, delete=False) as file:
                json.dump(self._values, file, ensure_ascii=False, indent=1)
            Path(file.name).replace(self.folder / FILE)
        except OSError as error:
            self.fault = str(error)


def state_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder all consoles of this user remember things in."""
    given = environ.get("XDG_STATE_HOME", "")
    home = Path(given) if Path(given).is_absolute() else Path("~/.local/state").expanduser()
    return home / "botdeck"
