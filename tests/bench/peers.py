"""The peers a fleet is measured beside, each as its own documentation says to run it: `python -m tests.bench.peers`.

They poll the same double with the same tokens and echo what they are told. Neither keeps anything on disk.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import signal
import sys
from pathlib import Path


async def run_ptb(base_url: str, tokens: list[str], poll_s: int) -> None:
    """One python-telegram-bot Application per token, with its defaults."""
    from telegram import Update
    from telegram.ext import Application, ContextTypes, MessageHandler, filters

    async def echo(update: Update, _context: ContextTypes.DEFAULT_TYPE) -> None:
        assert update.message is not None
        await update.message.reply_text(update.message.text or "")

    for token in tokens:
        application = Application.builder().token(token).base_url(base_url).build()
        application.add_handler(MessageHandler(filters.TEXT, echo))
        await application.initialize()
        await application.start()
        assert application.updater is not None
        await application.updater.start_polling(timeout=poll_s)
    await asyncio.Event().wait()


async def run_aiogram(base_url: str, tokens: list[str], poll_s: int) -> None:
    """One aiogram Dispatcher polling for all tokens, sharing one session."""
    from aiogram import Bot, Dispatcher
    from aiogram.client.session.aiohttp import AiohttpSession
    from aiogram.client.telegram import TelegramAPIServer
    from aiogram.types import Message

    dispatcher = Dispatcher()

    @dispatcher.message()
    async def echo(message: Message) -> None:
        await message.answer(message.text or "")

    server = TelegramAPIServer.from_base(base_url.removesuffix("/bot"))
    session = AiohttpSession(api=server, limit=len(tokens) + 100)
    bots = [Bot(token, session=session) for token in tokens]
    await dispatcher.start_polling(*bots, polling_timeout=poll_s, handle_signals=False)


def run_processes(base_url: str, tokens: list[str], poll_s: int) -> None:
    """Run one process with one Application for each token, until killed."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=run_one, args=(base_url, token, poll_s), daemon=True) for token in tokens]
    for process in processes:
        process.start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # ends the children too
    for process in processes:
        process.join()


def run_one(base_url: str, token: str, poll_s: int) -> None:
    """Run one Application."""
    asyncio.run(run_ptb(base_url, [token], poll_s))


def main() -> None:
    """Run one peer until it is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer", choices=["ptb", "ptb-processes", "aiogram"])
    parser.add_argument("base_url")
    parser.add_argument("tokens", type=Path, help="JSON list")
    parser.add_argument("--poll-s", type=int, default=10)
    arguments = parser.parse_args()
    tokens = json.loads(arguments.tokens.read_text())
    if arguments.peer == "ptb":
        asyncio.run(run_ptb(arguments.base_url, tokens, arguments.poll_s))
    elif arguments.peer == "ptb-processes":
        run_processes(arguments.base_url, tokens, arguments.poll_s)
    else:
        import uvloop

        uvloop.run(run_aiogram(arguments.base_url, tokens, arguments.poll_s))


if __name__ == "__main__":
    main()
