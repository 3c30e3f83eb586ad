"""A line to type into, with what was typed before: the filter of a list, the search of a log."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label

from console.tui.screen import console_of


class HistoryInput(Input):
    """An Input that recalls what was typed before with up and down. `kind` names the history."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(-1)", "Typed before", id="input.before"),
        Binding("down", "recall(1)", "Typed after", show=False, id="input.after"),
    ]

    def __init__(self, kind: str, placeholder: str = "") -> None:
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=False)
        self._kind = kind
        self._back = 0

    def begin(self, text: str) -> None:
        """Take keys, with a text to go on from."""
        self._back = 0
        self.value = text
        self.cursor_position = len(text)
        self.focus()

    def action_recall(self, step: int) -> None:
        """Put in what was typed before, or after that."""
        lines = console_of(self).memory.history(self._kind)
        self._back = max(0, min(self._back - step, len(lines)))
        self.value = lines[-self._back] if self._back else ""
        self.cursor_position = len(self.value)

    def remember(self) -> None:
        """Keep what stands here for the next time."""
        console_of(self).memory.typed(self._kind, self.value)


class FilterBar(Horizontal):
    """One line with a name before it; to be seen while it is typed into or holds something.

    Its parts are made when there is a text first: every pane has two bars, and most are never seen.
    """

    class Changed(Message):
        """Another text stands here."""

        def __init__(self, bar: FilterBar, text: str) -> None:
            super().__init__()
            self.bar = bar
            self.text = text

        @property
        def control(self) -> FilterBar:
            """The bar it stands in."""
            return self.bar

    class Closed(Message):
        """Nobody types here any more."""

        def __init__(self, bar: FilterBar) -> None:
            super().__init__()
            self.bar = bar

        @property
        def control(self) -> FilterBar:
            """The bar it was."""
            return self.bar

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Take it away", id="input.cancel"),
    ]

    def __init__(self, kind: str, hint: str, *, name: str = "filter", id: str | None = None) -> None:
        super().__init__(id=id)
        self._label = name
        self._kind, self._hint = kind, hint
        self._input: HistoryInput | None = None
        self.display = False

    @property
    def text(self) -> str:
        """What stands here."""
        return self._input.value if self._input is not None else ""

    def _line(self) -> HistoryInput:
        if self._input is None:
            self._input = HistoryInput(self._kind, self._hint)
            self.mount(Label(f"{self._label} "), self._input)
        return self._input

    def ask(self, text: str) -> None:
        """Let somebody type, beginning with a text."""
        self.display = True
        self._line().begin(text)

    def dismiss(self, text: str | None = None) -> None:
        """Stop typing; a text given takes the place of the one typed. An empty line is put away."""
        if text is not None and text != self.text:
            self._line().value = text
        self.display = bool(self.text)
        self.post_message(self.Closed(self))

    def action_cancel(self) -> None:
        """Take the text away and stop typing."""
        self.dismiss("")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self, event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self._line().remember()
        self.dismiss()
