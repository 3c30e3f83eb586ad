"""Control over the unix socket: what the command line and an attached console speak to."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

from config.vocabulary import Phase
from console.answers import (
    AccessAnswer,
    AnsweringRow,
    ConfigFile,
    ConversationRow,
    Draft,
    FactRow,
    Frame,
    Invitation,
    MessageRow,
    Preview,
    Said,
    Saying,
    Series,
    UsageRow,
)
from console.attach_keys import RemoteKeys
from console.control import API_VERSION, Action, EventLine, EventQuery, Info, LogLine, LogQuery, Outcome, Status
from console.errors import NoFleet, WrongVersion, revived
from console.lock import owner_of
from console.place import Place, socket_path
from console.thinning import whole
from console.wire import ANSWER_TIMEOUT_S
from workers.clock import Clock


async def connect(place: Place, clock: Clock | None = None, *, readonly: bool = False) -> RemoteControl:
    """Return a control of the fleet that runs at a place.

    Raises NoFleet when none runs or it does not answer, WrongVersion when it speaks another major version.
    """
    owner = owner_of(place.database)
    if owner is None:
        raise NoFleet(
            f"the fleet {place.name} does not run ({place.root})", f"start it with `botdeck run -C {place.root}`"
        )
    remote = RemoteControl(
        Path(owner.socket) if owner.socket else socket_path(place.database), clock, pid=owner.pid, readonly=readonly
    )
    await remote.shake_hands()
    return remote


class RemoteControl(RemoteKeys):
    """A Control of the fleet that serves a socket; every call has its own connection."""

    async def shake_hands(self) -> Info:
        """Check that the fleet answers in a version we speak. Raises NoFleet, WrongVersion."""
        info = await self.info()
        if info["api"].partition(".")[0] != API_VERSION.partition(".")[0]:
            raise WrongVersion(
                f"the fleet (botdeck {info['version']}) speaks control {info['api']}, this program {API_VERSION}",
                "use the botdeck that started the fleet, or restart the fleet with this one",
            )
        return info

    async def info(self) -> Info:
        """As Control.info."""
        return cast("Info", await self._call("GET", "/v1/info"))

    async def status(self) -> Status:
        """As Control.status."""
        return cast("Status", await self._call("GET", "/v1/bots?origin=folder"))

    async def bot(self, bot_id: str) -> dict[str, Any]:
        """As Control.bot."""
        return cast("dict[str, Any]", await self._call("GET", f"/v1/bots/{_part(bot_id)}"))

    async def feed(self) -> AsyncIterator[Frame]:
        """As Control.feed. Raises NoFleet when the fleet ends or falls silent."""
        asked = {"follow": "true", "thin": "true"}
        async with aclosing(self._stream("/v1/feed", asked)) as thin, aclosing(whole(thin)) as frames:
            async for frame in frames:
                yield frame

    async def series(self, bot_id: str, *, since: float, until: float, step_s: int) -> Series:
        """As Control.series."""
        asked = urlencode({"since": since, "until": until, "step_s": step_s})
        return cast("Series", await self._call("GET", f"/v1/bots/{_part(bot_id)}/series?{asked}"))

    async def steer(
        self,
        action: Action,
        selectors: Sequence[str],
        *,
        actor: str,
        reason: str = "",
        expected_generation: int | None = None,
    ) -> list[Outcome]:
        """As Control.steer."""
        body = {"selectors": list(selectors), "actor": actor, "reason": reason}
        answer = await self._order(f"/v1/actions/{action.value}", body | {"expected_generation": expected_generation})
        return cast("list[Outcome]", answer["outcomes"])

    async def wait(
        self, bot_ids: Sequence[str], phases: Collection[Phase], *, timeout_s: float, since: float = 0.0
    ) -> list[str]:
        """As Control.wait."""
        body = {"bot_ids": list(bot_ids), "phases": [str(p) for p in phases], "timeout_s": timeout_s, "since": since}
        answer = await self._call("POST", "/v1/wait", body, timeout_s=timeout_s + ANSWER_TIMEOUT_S)
        return cast("list[str]", answer["missing"])

    async def reload(self, *, actor: str) -> dict[str, Any]:
        """As Control.reload."""
        return cast("dict[str, Any]", await self._order("/v1/reload", {"actor": actor}))

    async def config_show(self, bot_id: str) -> dict[str, Any]:
        """As Control.config_show."""
        return cast("dict[str, Any]", await self._call("GET", f"/v1/bots/{_part(bot_id)}/config"))

    async def config_file(self, bot_id: str) -> ConfigFile:
        """As Control.config_file."""
        return cast("ConfigFile", await self._call("GET", f"/v1/bots/{_part(bot_id)}/file"))

    async def preview(self, bot_id: str, text: str) -> Preview:
        """As Control.preview."""
        return cast("Preview", await self._asked(f"/v1/bots/{_part(bot_id)}/preview", {"text": text}))

    async def save_config(self, bot_id: str, text: str, *, expected_digest: str, actor: str) -> dict[str, Any]:
        """As Control.save_config."""
        body = {"text": text, "expected_digest": expected_digest, "actor": actor}
        return cast("dict[str, Any]", await self._order(f"/v1/bots/{_part(bot_id)}/file", body))

    async def add_bot(self, draft: Draft, *, actor: str) -> dict[str, Any]:
        """As Control.add_bot."""
        return cast("dict[str, Any]", await self._order("/v1/bots", {"draft": draft, "actor": actor}))

    async def conversations(
        self, bot_id: str, *, search: str = "", before: float = 0.0, limit: int = 50
    ) -> list[ConversationRow]:
        """As Control.conversations."""
        asked = urlencode({"search": search, "before": before, "limit": limit})
        return cast("list[ConversationRow]", await self._call("GET", f"/v1/bots/{_part(bot_id)}/conversations?{asked}"))

    async def messages(
        self,
        bot_id: str,
        client_id: str,
        conversation_id: str,
        *,
        before_seq: int | None = None,
        search: str = "",
        limit: int = 100,
    ) -> list[MessageRow]:
        """As Control.messages."""
        asked = {"client_id": client_id, "conversation_id": conversation_id, "search": search, "limit": limit}
        query = urlencode(asked | {"before_seq": before_seq or 0})
        return cast("list[MessageRow]", await self._call("GET", f"/v1/bots/{_part(bot_id)}/messages?{query}"))

    async def say(self, bot_id: str, text: str, *, session: str, actor: str) -> Said:
        """As Control.say."""
        body = {"text": text, "session": session, "actor": actor}
        return cast("Said", await self._order(f"/v1/bots/{_part(bot_id)}/say", body))

    async def saying(self, bot_id: str, text: str, *, session: str, actor: str, key: str = "") -> AsyncIterator[Saying]:
        """As Control.saying; of a fleet too old to tell how an answer grows, the whole one at once."""
        if "saying" not in (await self.info())["capabilities"]:
            said = await self.say(bot_id, text, session=session, actor=actor)
            yield {"keep": 0, "more": "", "tools": [], "age_s": said["latency_s"], "said": said}
            return
        body = {"text": text, "session": session, "actor": actor, "key": key or uuid.uuid4().hex}
        async with aclosing(self._ordered(f"/v1/bots/{_part(bot_id)}/saying", body)) as lines:
            async for line in lines:
                if "error" in line:
                    raise revived(line)
                yield cast("Saying", line)

    async def answering(self, bot_id: str) -> list[AnsweringRow]:
        """As Control.answering."""
        return cast("list[AnsweringRow]", await self._call("GET", f"/v1/bots/{_part(bot_id)}/answering"))

    async def usage(self, selectors: Sequence[str], *, by: str, days: int) -> list[UsageRow]:
        """As Control.usage."""
        asked = urlencode({"bots": list(selectors), "by": by, "days": days}, doseq=True)
        return cast("list[UsageRow]", await self._call("GET", f"/v1/usage?{asked}"))

    async def profile(
        self, bot_id: str, user_id: str, *, changes: Mapping[str, str | None] | None = None, actor: str = ""
    ) -> list[FactRow]:
        """As Control.profile."""
        path = f"/v1/bots/{_part(bot_id)}/profile"
        if not changes:
            return cast("list[FactRow]", await self._call("GET", f"{path}?{urlencode({'user_id': user_id})}"))
        body = {"user_id": user_id, "changes": dict(changes), "actor": actor}
        return cast("list[FactRow]", await self._order(path, body))

    async def pair(self, bot_id: str, *, minutes: float, actor: str) -> Invitation:
        """As Control.pair."""
        body = {"minutes": minutes, "actor": actor}
        return cast("Invitation", await self._order(f"/v1/bots/{_part(bot_id)}/pair", body))

    async def access(
        self,
        bot_id: str,
        *,
        allow: Sequence[int] = (),
        block: Sequence[int] = (),
        remove: Sequence[int] = (),
        actor: str = "",
    ) -> AccessAnswer:
        """As Control.access."""
        path = f"/v1/bots/{_part(bot_id)}/access"
        if not (allow or block or remove):
            return cast("AccessAnswer", await self._call("GET", path))
        body = {"allow": list(allow), "block": list(block), "remove": list(remove), "actor": actor}
        return cast("AccessAnswer", await self._order(path, body))

    async def check(self) -> dict[str, Any]:
        """As Control.check."""
        return cast("dict[str, Any]", await self._call("GET", "/v1/check"))

    async def logs(self, query: LogQuery) -> list[LogLine]:
        """As Control.logs."""
        return cast("list[LogLine]", [line async for line in self._stream("/v1/logs", asdict(query))])

    async def follow_logs(self, query: LogQuery) -> AsyncIterator[LogLine]:
        """As Control.follow_logs. Raises NoFleet when the fleet ends or falls silent."""
        async with aclosing(self._stream("/v1/logs", asdict(query) | {"follow": "true"})) as lines:
            async for line in lines:
                yield cast("LogLine", line)

    async def events(self, query: EventQuery) -> list[EventLine]:
        """As Control.events."""
        return cast("list[EventLine]", [line async for line in self._stream("/v1/events", asdict(query))])

    async def follow_events(self, query: EventQuery) -> AsyncIterator[EventLine]:
        """As Control.follow_events. Raises NoFleet when the fleet ends or falls silent."""
        async with aclosing(self._stream("/v1/events", asdict(query) | {"follow": "true"})) as lines:
            async for line in lines:
                yield cast("EventLine", line)

    async def backup(self, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """As Control.backup."""
        return await self._file("/v1/backup", {"target": str(target), "overwrite": overwrite})

    async def export_bot(self, bot_id: str, target: Path, *, overwrite: bool = False) -> dict[str, Any]:
        """As Control.export_bot."""
        return await self._file(f"/v1/bots/{_part(bot_id)}/export", {"target": str(target), "overwrite": overwrite})

    async def import_bot(self, source: Path, bot_id: str | None = None, *, actor: str) -> dict[str, Any]:
        """As Control.import_bot."""
        return await self._file("/v1/import", {"source": str(source), "bot_id": bot_id, "actor": actor})

    async def remove_bot(self, bot_id: str, *, actor: str) -> dict[str, Any]:
        """As Control.remove_bot."""
        return await self._file(f"/v1/bots/{_part(bot_id)}/remove", {"actor": actor})

    async def _file(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return cast("dict[str, Any]", await self._order(path, body))


def _part(text: str) -> str:
    return quote(text, safe="")
