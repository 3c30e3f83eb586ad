"""Getting past updates that have no id: how far an offset may go without forgetting one that has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from workers.channels.incoming import LARGEST_ID

if TYPE_CHECKING:
    from workers.errors import UpdatesUnusable

TRUSTED_S: Final = 86_400.0
"""Ids may start anew, lower, after a week without updates. Within a day of an offset they have not."""


class Stepping:
    """Knows the last offset that was confirmed, and the last batch without ids.

    All that waits then has ids from that offset on, and ids grow: the last of so many updates has at least the offset
    and their number less one, and whatever comes behind it a higher one. A batch that comes again in spite of such a
    step is not stepped over again: whether ids were left out or the server does not listen, nobody can tell.
    """

    __slots__ = ("_at", "_floor", "_mark")

    def __init__(self) -> None:
        self._floor: int | None = None
        self._at = 0.0
        self._mark: int | None = None

    @property
    def stuck(self) -> bool:
        """Whether the last poll brought nothing but updates without an id."""
        return self._mark is not None

    def confirmed(self, offset: int | None, now: float) -> None:
        """Note a poll that came back good, with the offset it carried; now is monotonic."""
        self._mark = None
        if offset is not None:
            self._floor, self._at = offset, now

    def beyond(self, error: UpdatesUnusable, offset: int | None, now: float) -> int | None:
        """Return the offset that forgets this batch, and nothing else; None when there is no telling."""
        if offset is not None:
            self._floor, self._at = offset, now
        again, self._mark = error.mark == self._mark, error.mark
        if again or self._floor is None or now - self._at > TRUSTED_S:
            return None
        return min(self._floor + error.count, LARGEST_ID)
