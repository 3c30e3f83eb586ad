"""Text as people and machines send it, made fit for a UTF-8 file."""

from __future__ import annotations


def storable(text: str) -> str:
    """Return text with lone surrogates as U+FFFD and split pairs joined; anything else as it is.

    One message that cannot be encoded must not keep its turn from being recorded for ever.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
