"""Colours by role. A role says what something means; nothing on a screen is told by its colour alone."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme

BOTDECK: Final = Theme(
    name="botdeck",
    primary="#5fafd7",
    secondary="#8a9fb8",
    accent="#d7af5f",
    foreground="#d4d8dd",
    background="#14181d",
    surface="#14181d",
    panel="#222a33",
    success="#6fbf73",
    warning="#e0b050",
    error="#ef6b6b",
    dark=True,
    variables={
        "block-cursor-background": "#2f4a5e",
        "block-cursor-foreground": "#ffffff",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#263440",
        "border": "#5fafd7",
        "border-blurred": "#3a4652",
        "footer-key-foreground": "#d7af5f",
        "input-selection-background": "#5fafd7 35%",
        "scrollbar": "#3a4652",
        "scrollbar-background": "#1a2027",
    },
)

CONTRAST: Final = Theme(
    name="botdeck-contrast",
    primary="#00d7ff",
    secondary="#ffffff",
    accent="#ffff00",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#000000",
    success="#00ff5f",
    warning="#ffff00",
    error="#ff8787",
    dark=True,
    text_alpha=1.0,
    variables={
        "block-cursor-background": "#ffff00",
        "block-cursor-foreground": "#000000",
        "block-cursor-text-style": "bold",
        "block-cursor-blurred-background": "#ffffff",
        "block-cursor-blurred-foreground": "#000000",
        "border": "#ffffff",
        "border-blurred": "#c0c0c0",
        "footer-key-foreground": "#ffff00",
        "input-selection-background": "#0000ff",
        "scrollbar": "#ffffff",
        "scrollbar-background": "#000000",
        "text-muted": "#ffffff",
        "text-disabled": "#c0c0c0",
    },
)
"""Every text has a contrast of at least 7:1 with what it stands on."""

THEMES: Final = (BOTDECK, CONTRAST)
