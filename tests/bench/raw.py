"""A client that does nothing but answer: asyncio streams, two connections a bot. The floor latency is told from."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from urllib.parse import urlsplit


class Line:
    """One connection to the double, kept open."""

    def __init__(self, base_url: str, token: str) -> None:
        url = urlsplit(base_url)
        self._host, self._port = url.hostname, url.port
        self._head = f"{url.path}{token}/"
        self._where = url.netloc
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, method: str, body: bytes) -> bytes:
        """Post a body, return the answer's."""
        reader, writer = self._streams = self._streams or await asyncio.open_connection(self._host, self._port)
        head = f"POST {self._head}{method} HTTP/1.1\r\nHost: {self._where}\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).lower()
        return await reader.readexactly(int(answer.partition(b"content-length:")[2].split(b"\r\n", 1)[0]))


async def echo(base_url: str, token: str, poll_s: int) -> None:
    """Poll for one bot and answer what comes, at once."""
    polls, sends, offset = Line(base_url, token), Line(base_url, token), 0
    while True:
        batch = json.loads(await polls.call("getUpdates", b'{"offset":%d,"timeout":%d}' % (offset, poll_s)))["result"]
        for update in batch:
            offset = update["update_id"] + 1
            message = update["message"]
            body = json.dumps({"chat_id": message["chat"]["id"], "text": message["text"]}).encode()
            await sends.call("sendMessage", body)


async def run(base_url: str, tokens: Path, poll_s: int) -> None:
    """Run all bots."""
    async with asyncio.TaskGroup() as group:
        for token in json.loads(tokens.read_text()):
            group.create_task(echo(base_url, token, poll_s))


if __name__ == "__main__":
    import uvloop

    uvloop.run(run(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
