"""The fleet as the console knows it: rows by id, and the order in which they are shown. Knows nothing of screens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from console.judgement import need
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
        """Whether the list may be another one by now."""
        self._needs: dict[str, tuple[int, bool, str]] = {}
        """What worst first goes by, of each bot: looked up when a row comes, not for all of them at each sort."""

    # --- what is known -----------------------------------------------------------------------------------------

    def apply(self, frame: Frame) -> bool:
        """Take a frame; return False when it does not fit what came before and a full one is needed."""
        if not frame["full"] and (frame["start_id"] != self.start_id or frame["rev"] <= self._frame_rev):
            return False
        if frame["full"]:
            self.rows, self._needs = {}, {}
        moved = self._take(frame["bots"])
        for bot_id in frame["gone"]:
            self.rows.pop(bot_id, None)
            self._needs.pop(bot_id, None)
        self.fleet, self.start_id, self.at = frame["fleet"], frame["start_id"], frame["at"]
        self._frame_rev = frame["rev"]
        by_more = self.sort != WORST or bool(self.filter)
        self._stale = self._stale or frame["full"] or bool(frame["gone"]) or moved or (by_more and bool(frame["bots"]))
        self.rev += 1
        if frame["full"] or frame["gone"]:
            self.marks &= self.rows.keys()
            self.settle()
        return True

    def _take(self, rows: Iterable[LiveRow]) -> bool:
        """Take rows; tell whether any bot has another place in the order worst first."""
        moved = False
        for row in rows:
            bot_id, needs = row["bot_id"], need(row)
            self.rows[bot_id] = row
            if self._needs.get(bot_id) != needs:
                self._needs[bot_id] = needs
                moved = True
        return moved

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
        passing: Iterable[str] = self.rows
        if self.filter:
            passing = [bot_id for bot_id, row in self.rows.items() if self.filter.passes(row, self.marks)]
        index = self._sorted(passing)
        if index == self.index:
            return False
        self.index = index
        self.rev += 1
        return True

    def _sorted(self, bot_ids: Iterable[str]) -> list[str]:
        ordered = sorted(bot_ids, key=self._needs.__getitem__)
        if self.sort != WORST:
            # Sorting is stable: bots alike in a column stay worst first.
            down = COLUMNS[self.sort].big_first != self.reverse
            key = sort_key(COLUMNS[self.sort], self.at, down=down)
            ordered.sort(key=lambda bot_id: key(self.rows[bot_id]), reverse=down)
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
