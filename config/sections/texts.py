"""`[texts.<language>]`: which built-in texts there are, for a bot to replace."""

from __future__ import annotations

from typing import Final

LANGUAGES: Final = ("en", "ru")
"""Languages the built-in texts are written in."""

TEXT_KEYS: Final = (
    "start",
    "help",
    "reset_done",
    "undo_done",
    "undo_nothing",
    "forget_ask",
    "forget_button",
    "forget_done",
    "forget_not_yours",
    "model_list",
    "model_chosen",
    "model_unknown",
    "denied",
    "pair_ask",
    "pair_done",
    "pair_wrong",
    "pair_locked",
    "limited",
    "unknown_command",
    "outdated",
    "unsupported_media",
    "media_too_large",
    "voice_failed",
    "document_failed",
    "about_help",
    "about_reset",
    "about_undo",
    "about_forget",
    "about_model",
)
"""Names of the built-in texts."""

COMMANDS: Final = ("start", "help", "reset", "undo", "forget", "model")
"""Commands every bot has."""
