"""A question asked of the bot's model: shown while it is answered, and waited with while the model is away."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from config.vocabulary import Condition
from workers.preview import Preview
from workers.shift import Shift
from workers.typist import Typist

if TYPE_CHECKING:
    from workers.chat.engine import Answer
    from workers.turn import Turn

logger = logging.getLogger(__name__)

OUTAGE_S: Final = 5.0
LONGEST_OUTAGE_S: Final = 15.0
"""A message that waits for its model asks again after so long; the first wait, and the longest."""


class Conversing:
    """Asks the models of one bot."""

    __slots__ = ("_shift", "_typist")

    def __init__(self, shift: Shift, typist: Typist) -> None:
        self._shift = shift
        self._typist = typist

    async def answer(self, turn: Turn) -> Answer | None:
        """Return the model's answer, or why there is none; None when the bot drains while a message waits for its model.

        With `on_outage = "wait"` it is asked again, now and then, until it answers or the message is too old. Raises
        what nobody foresaw. Cancelling is safe.
        """
        answer = await self._ask(turn)
        if not answer.away or turn.spec.config.llm.on_outage != "wait":
            return answer
        wait_s = OUTAGE_S
        with self._shift.aside():
            while await self._shift.rests.sleep(wait_s):
                answer = await self._ask(turn)
                if not answer.away or turn.is_late(self._shift.services):
                    return answer
                wait_s = min(wait_s * 2, LONGEST_OUTAGE_S)
        return None

    async def _ask(self, turn: Turn) -> Answer:
        shift, services, preview = self._shift, self._shift.services, self._preview(turn)
        services.prices.warm(turn.spec.config.llm.provider)
        self._typist.begin(turn.update_id, turn.incoming.lane, preview)
        try:
            # A store that cannot be read is met before the model is asked, so asking again costs nothing twice.
            return await services.insist(
                lambda: services.engine.answer(
                    turn.spec, shift.partition, turn.incoming, self._report, shift.places, preview,
                    images=turn.images, model=turn.model,
                )
            )  # fmt: skip
        finally:
            self._typist.end(turn.update_id)
            if preview is not None:
                await preview.close()

    def _preview(self, turn: Turn) -> Preview | None:
        """Return what shows the answer while it is made; None where nobody asked for it."""
        how = turn.spec.config.reply.stream
        if how == "off":
            return None
        services, updates, item = self._shift.services, self._shift.partition.updates, turn.item

        async def keep(message_id: int) -> None:
            item.preview_id = message_id
            await services.insist(lambda: updates.preview(item.update_id, message_id))

        return Preview(
            self._shift.channel, turn.incoming.lane, turn.update_id, how, keep,
            private=turn.incoming.chat_type == "private", message_id=item.preview_id, reply_to=turn.reply_to,
        )  # fmt: skip

    def _report(self, condition: Condition, status: bool, reason: str) -> None:
        conditions = self._shift.conditions
        before = conditions.get(condition)
        if conditions.set(condition, status, reason) and not (status and before is None):
            text = "the model answers again" if status else f"the model is out of reach: {reason}"
            logger.log(logging.INFO if status else logging.WARNING, text)
