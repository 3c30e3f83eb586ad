"""How the console looks, as its operator chose: theme, signs, charts."""

from __future__ import annotations

from typing import TypeVar

from textual.app import App
from textual.theme import BUILTIN_THEMES, Theme

from console.tui import words
from console.tui.memory import Memory
from console.tui.themes import BOTDECK, THEMES

Result = TypeVar("Result")


class Themed(App[Result]):
    """An app that remembers how it is to look."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self.memory = memory

    def wear_themes(self) -> None:
        """Put on the theme worn last, and remember every change of it."""
        for theme in THEMES:
            self.register_theme(theme)
        remembered = self.memory.text("theme", BOTDECK.name)
        self.theme = remembered if remembered in self.available_themes else BOTDECK.name
        self.theme_changed_signal.subscribe(self, lambda theme: self.memory.put(theme=theme.name))

    def get_theme(self, theme_name: str) -> Theme | None:
        """Return a theme by its name. Asked for with every line drawn: the library would make a table of all of them."""
        return self._registered_themes.get(theme_name) or BUILTIN_THEMES.get(theme_name)

    @property
    def glyphs(self) -> words.Glyphs:
        """The signs to draw with."""
        return words.PLAIN_GLYPHS if self.memory.flag("plain") else words.GLYPHS

    def put_theme(self, name: str) -> None:
        """Wear another theme."""
        self.theme = name

    def toggle_plain(self) -> None:
        """Draw with ASCII only, or with everything again."""
        self.memory.put(plain=not self.memory.flag("plain"))
        self.refresh(layout=True)

    def action_next_theme(self) -> None:
        """Change between this console's own themes."""
        names = [theme.name for theme in THEMES]
        self.theme = names[(names.index(self.theme) + 1) % len(names)] if self.theme in names else names[0]
