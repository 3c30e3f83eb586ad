"""A process of its own that asks a bad server again and again: `python -m tests.hostile.bombed URL`; prints its peaks.

Three numbers of KiB: before, after polling, after asking the model.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from config.schema import LlmSection
from tests.workers.telegram_rig import TOKEN, telegram_config, text_to
from workers.channels.telegram import TelegramChannel
from workers.clock import SystemClock
from workers.errors import ChannelError, ProviderError
from workers.http import Http
from workers.llm.base import CompletionRequest, Message
from workers.llm.openai import OpenAIProvider

TIMES = 12


def peak_kib() -> int:
    """Return the most memory this process has had."""
    return int(Path("/proc/self/status").read_text(encoding="utf-8").split("VmHWM:")[1].split()[0])


async def main(url: str) -> None:
    """Poll, send and ask."""
    http, clock = Http(), SystemClock()
    channel = TelegramChannel(telegram_config(TOKEN, f"{url}/bot"), http, clock)
    with suppress(ChannelError):
        await channel.identify()
    peaks = [peak_kib()]
    for number in range(TIMES):
        with suppress(ChannelError):
            await channel.poll(None, brief=bool(number % 2))
        with suppress(ChannelError):
            await channel.send(text_to(7))
    peaks.append(peak_kib())
    provider = OpenAIProvider(LlmSection(provider="openai", model="m", base_url=f"{url}/v1"), http, clock)
    request = CompletionRequest("m", (Message("user", "hello"),), timeout_s=20)
    for _ in range(TIMES):
        with suppress(ProviderError):
            await provider.complete(request)
        with suppress(ProviderError):
            async for _ in provider.stream(request):
                pass
    peaks.append(peak_kib())
    await http.close()
    print(*peaks)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
