"""The text of a document. A program of its own: `python reading.py KIND CHARACTERS < document > text`.

What people send may be made to take all memory and time there is: here it can only take its own.
"""

from __future__ import annotations

import importlib
import io
import logging
import resource
import sys
import warnings
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

MEMORY_BYTES: Final = 512 * 1024 * 1024
CPU_S: Final = 20
LONGEST_REASON: Final = 500
MISSING: Final = 3
"""Exit code: the library for this kind is not installed."""

UNREADABLE: Final = 4
"""Exit code: the document cannot be read; the reason is on stderr."""


def pages_of_pdf(file: BinaryIO) -> Iterator[str]:
    """Yield the text of a PDF's pages."""
    pypdf = importlib.import_module("pypdf")
    for page in pypdf.PdfReader(file).pages:
        yield page.extract_text()


def paragraphs_of_docx(file: BinaryIO) -> Iterator[str]:
    """Yield the text of a Word document, tables included, in its order."""
    docx = importlib.import_module("docx")
    for block in docx.Document(file).iter_inner_content():
        if hasattr(block, "rows"):
            yield from (_cells(row) for row in block.rows)
        else:
            yield block.text


def _cells(row: Any) -> str:
    return " | ".join(cell.text.strip() for cell in row.cells)


READERS: Final = {"pdf": pages_of_pdf, "docx": paragraphs_of_docx}


def read(kind: str, file: BinaryIO, characters: int) -> str:
    """Return the beginning of a document's text."""
    texts: list[str] = []
    size = 0
    for text in READERS[kind](file):
        texts.append(text)
        size += len(text) + 1
        if size > characters:
            break
    return "\n".join(texts)[: characters + 1]


def main(kind: str, characters: str) -> int:
    """Read standard input, write the text to standard output; return the exit code."""
    logging.disable()  # libraries tell of each oddity, and a document can be made of nothing else
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    try:
        text = read(kind, io.BytesIO(sys.stdin.buffer.read()), int(characters))
    except ImportError as error:
        sys.stderr.write(f"{error}\n")
        return MISSING
    except Exception as error:  # noqa: BLE001 (a library given garbage raises whatever it likes, and this process is for it)
        sys.stderr.write(f"{type(error).__name__}: {str(error)[:LONGEST_REASON]}\n")
        return UNREADABLE
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
