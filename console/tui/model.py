"""The fleet as the console knows it: rows by id, and the order in which they are shown. Knows nothing of screens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from console.judgement import worst_first
from console.tui.columns import COLUMNS, WORST, sort_key
from console.tui.filters import Filter

if TYPE_CHECKING:
    from console.control import Frame, LiveFleet, LiveRow


class FleetModel:
    """Rows, marks, and an index of the bots shown, sorted and filtered.

    `apply` takes what changed; `settle` brings the order up to date, which costs more and is done less often, never
    while somebody moves through the list. `rev` grows with everything that may be seen.
    """

    def __init__(self) -> None:
        self.rows: dict[str, LiveRow] = {}
        self.fleet: LiveFleet | None = None
        self.start_id = ""
        self.at = 0.0
        self.rev = 0
        self.index: list[str] = []
        self.marks: set[str] = set()
        self.filter = Filter()
        self.sort = WORST
        self.reverse = False
        self._frame_rev = -1
        self._stale = False

    # --- what is known -----------------------------------------------------------------------------------------

    def apply(self, frame: Frame) -> bool:
        """Take a frame; return False when it does not fit what came before and a full one is needed."""
        if not frame["full"] and (frame["start_id"] != self.start_id or frame["rev"] <= self._frame_rev):
            return False
        if frame["full"]:
            self.rows = {}
        self.rows.update((row["bot_id"], row) for row in frame["bots"])
        for bot_id in frame["gone"]:
            self.rows.pop(bot_id, None)
        self.fleet, self.start_id, self.at = frame["fleet"], frame["start_id"], frame["at"]
        self._frame_rev = frame["rev"]
        self._stale = self._stale or frame["full"] or bool(frame["bots"]) or bool(frame["gone"])
        self.rev += 1
        if frame["full"] or frame["gone"]:
            self.marks &= self.rows.keys()
            self.settle()
        return True

    def forget(self) -> None:
        """Ask for a full frame next: what is known may be of another fleet."""
        self._frame_rev = -1
        self.start_id = ""

    def shown(self) -> list[LiveRow]:
        """Return the rows as listed."""
        return [self.rows[bot_id] for bot_id in self.index]

    # --- the order ---------------------------------------------------------------------------------------------

    def settle(self) -> bool:
        """Sort and filter anew when anything changed; tell whether the list is another one now."""
        if not self._stale:
            return False
        self._stale = False
        passing = [row for row in self.rows.values() if self.filter.passes(row, self.marks)]
        index = [row["bot_id"] for row in self._sorted(passing)]
        if index == self.index:
            return False
        self.index = index
        self.rev += 1
        return True

    def _sorted(self, rows: Iterable[LiveRow]) -> list[LiveRow]:
        ordered = cast("list[LiveRow]", worst_first(rows))
        if self.sort != WORST:
            # Sorting is stable: bots alike in a column stay worst first.
            down = COLUMNS[self.sort].big_first != self.reverse
            ordered.sort(key=sort_key(COLUMNS[self.sort], self.at, down=down), reverse=down)
        elif self.reverse:
            ordered.reverse()
        return ordered

    def order_by(self, column: str, *, reverse: bool = False) -> None:
        """Sort by a column from now on; an unknown one means the default, worst first."""
        self.sort, self.reverse = (column if column in COLUMNS else WORST), reverse
        self._unsettled()

    def narrow(self, text: str) -> None:
        """Show only bots that pass a filter from now on."""
        if text.strip() != self.filter.text:
            self.filter = Filter(text)
            self._unsettled()

    # --- marks -------------------------------------------------------------------------------------------------

    def mark(self, bot_ids: Iterable[str], *, on: bool = True) -> None:
        """Mark bots, or unmark them. Marks hold whatever is sorted or filtered."""
        known = self.rows.keys() & set(bot_ids)
        self.marks = self.marks | known if on else self.marks - known
        self._unsettled()

    def marked(self) -> list[str]:
        """Return the marked bots, those of the list in its order first."""
        listed = [bot_id for bot_id in self.index if bot_id in self.marks]
        return listed + sorted(self.marks - set(listed))

    def _unsettled(self) -> None:
        self._stale = True
        self.rev += 1
        self.settle()
