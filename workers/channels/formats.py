"""How one bot's answers are formatted, and what its server turned out to take."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from config.schema import ReplySection
from workers.channels.base import Lane, Outgoing
from workers.channels.faults import Refused
from workers.channels.outgoing import RICH_METHOD, amended, answer_parts, reformatted, without_rich

log = logging.getLogger(__name__)


class Formats:
    """What is known of a server's own Markdown (rich: None until the first answer in it), and a count of refusals."""

    __slots__ = ("_refused", "rich")

    def __init__(self) -> None:
        self.rich: bool | None = None
        self._refused = 0

    def render(
        self, lane: Lane, text: str, reply: ReplySection | None, buttons: Sequence[tuple[str, str]]
    ) -> list[Outgoing]:
        """Turn an answer into its parts, in the server's own Markdown where that is wanted and not known to be missing."""
        return answer_parts(lane, text, reply, buttons, rich=self.rich)

    def taken(self, part: Outgoing) -> None:
        """Learn from a part the server took."""
        if part.method == RICH_METHOD:
            self.rich = True

    def amended(self, part: Outgoing, refused: Refused) -> Outgoing | None:
        """Return what to send in the place of a refused part, None when nothing would help.

        A 404 means that the server has no Markdown of its own: nothing has been sent, so there is no doubt. It is not
        asked again while this bot's worker lives, and that is no refusal of a format.
        """
        if refused.code == 404 and part.method == RICH_METHOD:
            self.rich = False
            return without_rich(part)
        if refused.code != 400:
            return None
        better = amended(part, refused.description, refused.parameters)
        if better is not None and reformatted(part, better):
            self._refused += 1
            log.warning("an answer goes out without its formatting: %s", refused.description[:200])
        return better

    def refusals(self) -> int:
        """Return how many parts lost their formatting since this was last asked."""
        count, self._refused = self._refused, 0
        return count
