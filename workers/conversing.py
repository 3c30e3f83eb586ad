"""A question asked of the bot's model: shown while it is answered, and waited with while the model is away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from config.vocabulary import Condition
from workers.chat.question import Question
from workers.preview import Preview
from workers.sender import Sender
from workers.shift import Shift
from workers.shown import Shown
from workers.typist import Typist

if TYPE_CHECKING:
    from config.snapshot import BotSpec
    from workers.channels.base import Incoming
    from workers.chat.engine import Answer
    from workers.turn import Turn

OUTAGE_S: Final = 5.0
LONGEST_OUTAGE_S: Final = 15.0
"""A message that waits for its model asks again after so long; the first wait, and the longest."""


class Conversing:
    """Asks the models of one bot."""

    __slots__ = ("_sender", "_shift", "_typist")

    def __init__(self, shift: Shift, typist: Typist, sender: Sender) -> None:
        self._shift = shift
        self._sender = sender
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
        shift, services = self._shift, self._shift.services
        await services.prepare(turn.spec.config.llm)
        preview, question = self._preview(turn), question_of(turn.spec, turn.incoming)
        underway = self._typist.begin(turn.update_id, turn.incoming.lane, question.client_id, preview)
        try:
            # A store that cannot be read is met before the model is asked, so asking again costs nothing twice.
            return await services.insist(
                lambda: services.engine.answer(
                    turn.spec, shift.partition, question, self._report, shift.places, preview,
                    images=turn.images, model=turn.model, hears=underway,
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
        shown = Shown(self._shift, self._sender, turn.item)
        return Preview(
            self._shift.channel, turn.incoming.lane, turn.update_id, how, shown,
            private=turn.incoming.chat_type == "private", message_id=turn.item.preview_id, reply_to=turn.reply_to,
        )  # fmt: skip

    def _report(self, condition: Condition, status: bool, reason: str) -> None:
        shift, absences = self._shift, self._shift.services.absences
        if status:
            absences.answered(shift.bot_id)
        else:
            absences.away(shift.bot_id, reason)
        shift.conditions.set(condition, status, reason)


def question_of(spec: BotSpec, incoming: Incoming) -> Question:
    """Return a message of a channel as the engine is asked it."""
    user_id = "" if incoming.user_id is None else str(incoming.user_id)
    read_chars = spec.config.media.max_document_chars if incoming.attachments else 0
    conversation_id = incoming.lane.conversation_id
    return Question(
        incoming.text,
        spec.config.client_id,
        conversation_id,
        user_id,
        incoming.user_name,
        incoming.update_id,
        read_chars,
    )
