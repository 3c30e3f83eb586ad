"""A model's server whose every answer is far too long: `python -m tests.neighbours.swelling` prints its address.

Below `/endless` an answer never ends: a body or a stream that goes on for as long as it is read. It lives in a process of its own, for the loop that takes the times must not be busy with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

CHARACTERS: Final = 1_000_000
"""Nearly as much as is read of one answer."""

ENDLESS: Final = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nConnection: close\r\n\r\n"
PIECE: Final = b"x" * 65_536
PACE_S: Final = 0.005
"""Between pieces: a fast network brings 13 MB a second on each connection, not what two programs of one machine can move in
its memory, which takes the other core."""


@contextmanager
def swelling() -> Iterator[str]:
    """Have the server run; gives its URL."""
    with subprocess.Popen([sys.executable, "-m", __name__], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it is a pipe"
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


async def serve() -> None:
    """Answer whatever is asked, on any free port, until ended."""
    message = {"role": "assistant", "content": "x" * CHARACTERS}
    body = json.dumps({"model": "swollen", "choices": [{"message": message, "finish_reason": "stop"}]}).encode()
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                asked = await reader.readexactly(int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]))
                if head.startswith(b"post /endless/"):
                    await _go_on(writer, stream=json.loads(asked).get("stream", False))
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


async def _go_on(writer: asyncio.StreamWriter, *, stream: bool) -> None:
    """Answer until nobody reads any more, which is a ConnectionError."""
    piece = b'data: {"choices": [{"delta": {"content": "%b"}}]}\n\n' % PIECE if stream else PIECE
    writer.write(ENDLESS % (b"text/event-stream" if stream else b"application/json"))
    writer.write(b"" if stream else b'{"choices": [{"message": {"content": "')
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(PACE_S)


if __name__ == "__main__":
    os.nice(19)  # it stands for a machine elsewhere, and must not take the time of those measured
    asyncio.run(serve())
