"""The door of `botdeck`: refuses to start when a stranger answers to one of our package names.

`config`, `store`, `workers` and `console` are common words. A `config.py` in front of ours on the import path
would be imported instead of ours, with errors nobody understands; here it becomes one sentence.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent


def stranger(name: str) -> Path | None:
    """Return the file that would be imported for one of our names, when it is not ours."""
    spec = importlib.util.find_spec(name)
    places = list(spec.submodule_search_locations or []) if spec else []
    origin = places[0] if places else spec.origin if spec else None
    found = Path(origin).resolve() if origin else Path()
    return None if found == HOME / name else found


def main() -> int:
    """Check the names, then run the command line. Returns the exit code."""
    for name in ("config", "store", "workers", "console"):
        found = stranger(name)
        if found is not None:
            where = "nothing" if found == Path() else f"{found}"
            sys.stderr.write(
                f"error: botdeck needs its own package {name!r} but Python finds {where} first.\n"
                "hint: install botdeck in an environment of its own (pipx install botdeck), and unset PYTHONPATH.\n"
            )
            return 1
    from console.cli import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
