"""A fleet in which some bots are unruly: `python -m tests.neighbours.subject FOLDER`, run as `botdeck run --no-ui`."""

from __future__ import annotations

import sys
from pathlib import Path

from config.providers import OPTIONS
from console.headless import run_fleet
from workers.llm import PROVIDERS


def main() -> int:
    """Run the fleet; every bot's echo is the unruly one, which does harm only where the bot's options say so."""
    PROVIDERS["echo"] = "tests.neighbours.unruly:Unruly"
    OPTIONS["echo"] = None  # any
    return run_fleet(Path(sys.argv[1]))


if __name__ == "__main__":
    sys.exit(main())
