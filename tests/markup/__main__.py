"""`python -m tests.markup --documents N --seed S`: render nasty documents and judge every part by Telegram's rules."""

from __future__ import annotations

import argparse
import sys

from tests.markup.documents import Author
from tests.markup.judging import judge


def main() -> int:
    """Judge the documents asked for; 1 = something is wrong with one."""
    parser = argparse.ArgumentParser(prog="python -m tests.markup", description="Fuzz the renderer of Markdown.")
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=int, default=0, help="UTF-16 units of a part; 0 = 4096 and 200 in turn")
    options = parser.parse_args()
    wrong = 0
    for seed in range(options.seed, options.seed + options.documents):
        source = Author(seed).document()
        for limit in [options.limit] if options.limit else [4096, 200]:
            if found := judge(source, limit):
                wrong += 1
                print(f"seed {seed}, limit {limit}:", *found[:6], sep="\n    ", flush=True)
    print(f"{options.documents} documents from seed {options.seed}: {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
