"""What it costs to render and cut an answer, in CPU of one core: `python -m tests.bench.bench_markup`."""

from __future__ import annotations

import statistics
import sys
import time

from workers.channels.markup import render

ROUNDS = 15
TIMES = 10
ALLOWED_MS = 3.0
ALLOWED_PLAIN_US = 20.0

PROSE = (
    "A fleet of bots is a folder of files, one **bot** each, and *one* process that runs them all. What `botdeck run` does "
    "is written in [the manual](https://example.org/manual?page=1): it reads the folder, starts the bots and keeps them "
    "running. A message is stored before it is answered, and an answer before it is sent.\nIt goes on on a second line, "
    "with a few more words, as people and models do when they explain something at length.\n\n"
)
LIST = "- **First**: what is said first, in a few words\n- *Second*: what comes `next` to it\n  - and what belongs to it\n\n"
STEPS = "1. Stop the fleet\n2. Copy the file\n3. Start it again\n\n"
CODE = "```python\ndef answer(question: str) -> str:\n    for word in question.split():\n        print(word)\n    return 'so'\n```\n\n"
QUOTE = "> It is better to lose time than a message.\n\n"
TABLE = "| Name | Takes | Says |\n|---|---:|---|\n| alpha | 1 | first |\n| beta | 22 | second |\n\n"


def answer(size: int, pattern: str) -> str:
    """Return an answer of a size in characters, as models write them."""
    section = f"## Section\n\n{pattern}"
    return (section * (size // len(section) + 1))[:size]


USUAL = answer(10_000, PROSE + LIST + PROSE + CODE + PROSE + STEPS + PROSE + QUOTE + PROSE + TABLE)
DENSE = answer(10_000, PROSE + LIST + STEPS + CODE + QUOTE + TABLE)
CYRILLIC = answer(
    10_000, "Один **процесс** ведёт всех ботов, и `каждый` из них описан 😀 в своём файле. " * 6 + "\n\n" + LIST
)
SHORT = "Yes, it will rain tomorrow, so take an umbrella with you; in the evening it clears up. Anything else?"


def cost_ms(text: str) -> float:
    """Return the CPU milliseconds of one rendering, the median of ROUNDS rounds of TIMES."""
    rounds = []
    render(text)
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(TIMES):
            render(text)
        rounds.append((time.process_time() - began) / TIMES * 1000)
    return statistics.median(rounds)


def main() -> dict[str, float]:
    """Measure and print."""
    figures = {
        "10 kB, usual, ms": cost_ms(USUAL),
        "10 kB, dense, ms": cost_ms(DENSE),
        "10 k characters, Cyrillic and emoji, ms": cost_ms(CYRILLIC),
        "short and plain, us": cost_ms(SHORT) * 1000,
    }
    for name, figure in figures.items():
        print(f"{name:42}{figure:10.2f}")
    return figures


if __name__ == "__main__":
    seen = main()
    sys.exit(seen["10 kB, usual, ms"] > ALLOWED_MS or seen["short and plain, us"] > ALLOWED_PLAIN_US)
