"""A fleet whose echo leaks where a bot's options say so: `python -m tests.secrets.subject run -C FOLDER …`."""

from __future__ import annotations

import sys

from config.providers import OPTIONS
from console.cli import run
from workers.llm import PROVIDERS

if __name__ == "__main__":
    PROVIDERS["echo"] = "tests.secrets.leaky:Leaky"
    OPTIONS["echo"] = None  # any
    sys.exit(run())
