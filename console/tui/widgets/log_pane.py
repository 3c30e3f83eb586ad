"""A log to read: follow it, search and filter it, copy and save it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

import anyio
from textual import on
from textual.binding import Binding, BindingType

from console.tui import words
from console.tui.screen import console_of
from console.tui.widgets.filter_bar import FilterBar
from console.tui.widgets.line_pane import LinePane
from console.tui.widgets.log_view import LogView
from console.tui.widgets.ring import Line


class LogPane(LinePane):
    """What may be done with the lines of a pane. A search moves among those that are here, a filter asks for others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "Follow", id="log.follow"),
        Binding("slash", "filter", "Filter", id="log.filter"),
        Binding("ctrl+f", "search", "Search", id="log.search"),
        Binding("n", "next(1)", "Next found", show=False, id="log.next"),
        Binding("N", "next(-1)", "Found before", show=False, id="log.before"),
        Binding("L", "level", "Level", show=False, id="log.level"),
        Binding("w", "wrap", "Wrap", id="log.wrap"),
        Binding("T", "time", "Go to a time", show=False, id="log.time"),
        Binding("enter", "whole", "Whole line", show=False, id="log.whole"),
        Binding("y", "copy", "Copy", id="log.copy"),
        Binding("Y", "copy_seen", "Copy what is seen", show=False, id="log.copy_seen"),
        Binding("ctrl+s", "save", "Save", show=False, id="log.save"),
    ]

    def action_time(self) -> None:
        """Ask for a moment and go there."""
        from console.tui.screens.ask import AskLine

        self.app.push_screen(
            AskLine("Go to a time", "14:05, 10m (ago), or 2026-01-31T14:05", kind="time"),
            lambda text: self.go_to_time(text) if text else None,
        )

    # --- filter and search -------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one("#log-filter", FilterBar).ask(self.filter_text)

    def action_search(self) -> None:
        """Type what to search for."""
        self.query_one("#log-search", FilterBar).ask(self._search)

    def action_level(self) -> None:
        """Show warnings and errors only, then errors only, then everything."""
        following = {"debug": "warning", "info": "warning", "warning": "error", "error": "debug", "critical": "debug"}
        level = following[self._asked.level]
        rest = [word for word in self.filter_text.split() if not word.startswith("level:")]
        self.set_filter(" ".join([*rest, *([] if level == "debug" else [f"level:{level}"])]))

    @on(FilterBar.Changed, "#log-search")
    def _search_changed(self, event: FilterBar.Changed) -> None:
        event.stop()
        self._search = event.text
        self._view.highlight(self._pattern())
        self._draw()

    @on(FilterBar.Closed)
    def _typed(self, event: FilterBar.Closed) -> None:
        event.stop()
        self._view.focus()
        if event.bar.id == "log-search":
            event.bar.display = False
            if self._search and self.screen.focused is not None:
                self.action_next(-1)

    def _pattern(self) -> re.Pattern[str] | None:
        try:
            return re.compile(self._search, re.IGNORECASE) if self._search else None
        except re.error:
            return re.compile(re.escape(self._search), re.IGNORECASE)

    def action_next(self, step: int) -> None:
        """Go to the next line the search finds, or to the one before."""
        pattern = self._pattern()
        if pattern is None:
            self.action_search()
            return
        here = self._view.current if self._view.current is not None else self._ring.end
        found = self._ring.find(
            lambda line: bool(pattern.search(line.text) or pattern.search(line.more)), here + step, back=step < 0
        )
        if found is None:
            console_of(self).say(f"not found: {self._search}")
        else:
            self._view.go(found)

    # --- looks, copies -----------------------------------------------------------------------------------------

    def action_follow(self) -> None:
        """Follow, or stand still."""
        if self._view.following:
            self._view.pause()
        else:
            self._view.action_follow()

    def action_wrap(self) -> None:
        """Let long lines go on below, or cut them."""
        self._view.set_wrap(not self._view.wrap)
        console_of(self).memory.put(wrap=self._view.wrap)

    @on(LogView.Chosen)
    def action_whole(self) -> None:
        """Show all of the line the keys are at."""
        from console.tui.screens.whole import WholeLine

        if self._view.current is not None:
            self.app.push_screen(WholeLine(self._ring[self._view.current]))

    def action_copy(self) -> None:
        """Copy what is selected, else the line the keys are at, else the newest."""
        selected = self.screen.get_selected_text()
        if selected:
            console_of(self).copy(selected, "the selection")
        elif len(self._ring):
            number = self._view.current if self._view.current is not None else self._ring.end - 1
            console_of(self).copy(written(self._ring[number]), "one line")

    def action_copy_seen(self) -> None:
        """Copy the lines that are seen."""
        lines = list(self._ring.slice(*self._view.visible_range()))
        console_of(self).copy("\n".join(map(written, lines)), words.plural(len(lines), "line"))

    def action_save(self) -> None:
        """Ask for a file and write every line held into it."""
        from console.tui.screens.ask import AskLine

        name = (
            Path.cwd()
            / f"{self._kind}-{words.day_and_clock(console_of(self).now()).replace(' ', '-').replace(':', '')}.txt"
        )
        self.app.push_screen(
            AskLine(f"Save {words.plural(len(self._ring), 'line')} to a file", "", kind="file", text=str(name)),
            self._save_to,
        )

    def _save_to(self, name: str | None) -> None:
        if name:
            self.run_worker(self._save(Path(name).expanduser()), exit_on_error=False)

    async def _save(self, file: Path) -> None:
        lines = [written(line) for line in self._ring.slice(self._ring.first, self._ring.end)]
        try:
            async with await anyio.open_file(file, "x", encoding="utf-8") as out:
                await out.write("\n".join([*lines, ""]))
        except OSError as error:
            console_of(self).complain(f"not saved: {error.strerror}: {file}")
        else:
            console_of(self).say(f"saved {words.plural(len(lines), 'line')}: {file}")


def written(line: Line) -> str:
    """Return a line as it is copied and saved: with its date, and what stands below it."""
    head = f"{words.day_and_clock(line.at)} {line.level:8} {line.tag}: {line.text}"
    return head + "".join(f"\n    {part}" for part in line.more.split("\n")) if line.more else head
