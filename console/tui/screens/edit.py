"""Editing a file of the fleet in the console: highlighted, checked while typing, with what it will disturb shown before saving."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Button, Footer, Static, TextArea
from textual.widgets.text_area import TextAreaTheme

from config.errors import FleetError
from config.vocabulary import FLEET
from console.tui import verdicts, words
from console.tui.deeds import actor
from console.tui.screen import ConsoleScreen
from console.tui.widgets.header import Header

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from console.tui.app import ConsoleApp

QUIET_S: Final = 0.3
"""How long nothing is typed before the text is checked."""

LOOK: Final = TextAreaTheme(
    name="botdeck",
    gutter_style=Style(dim=True),
    cursor_line_gutter_style=Style(bold=True),
    syntax_styles={
        "comment": Style(dim=True, italic=True),
        "string": Style(color="green"),
        "number": Style(color="yellow"),
        "boolean": Style(color="yellow"),
        "toml.datetime": Style(color="yellow"),
        "toml.type": Style(bold=True),
        "toml.error": Style(color="red", underline=True),
    },
)
"""Signs of TOML in the console's own colours; on any background."""


class EditScreen(ConsoleScreen):
    """The file of one bot (FLEET: the one all bots share) in an editor. What is typed is kept whatever happens to the file or the fleet."""

    DEFAULT_CSS = """
    EditScreen #file { height: 1; padding: 0 1; background: $panel; }
    EditScreen TextArea, EditScreen TextArea:focus { height: 1fr; border: none; padding: 0; background: $background; }
    EditScreen #verdict { height: auto; max-height: 6; padding: 0 1; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", priority=True, id="edit.back"),
        Binding("ctrl+s", "save", "Save", priority=True, id="edit.save"),
        Binding("ctrl+g", "go", "Go to the mistake", id="edit.mistake"),
    ]

    def __init__(self, bot_id: str) -> None:
        super().__init__()
        self._bot_id = bot_id
        self._name = file_name(bot_id)
        self._file = ""
        self._saved = ""
        self._digest = ""
        self._timer: Timer | None = None
        self._mistake: tuple[int, int] | None = None

    def compose(self) -> ComposeResult:
        """The file's name, its text, what is thought of it."""
        yield Header()
        yield Static(f"{self._name}: reading …", id="file", markup=False)
        yield TextArea.code_editor("", language="toml", disabled=True, tab_behavior="indent")
        yield Static(id="verdict", markup=False)
        yield Footer()

    def on_mount(self) -> None:
        """Read the file."""
        self._area.register_theme(LOOK)
        self._area.theme = LOOK.name
        self.run_worker(self._open(), name="edit", exit_on_error=False)

    def on_tick(self) -> None:
        """As ConsoleScreen.on_tick."""
        self.query_one(Header).update()

    def targets(self) -> list[str]:
        """The bot whose file it is."""
        return [] if self._bot_id == FLEET else [self._bot_id]

    def where(self) -> str:
        """Name the screen."""
        return f"edit {self._name}"

    @property
    def _area(self) -> TextArea:
        return self.query_one(TextArea)

    async def _open(self) -> None:
        try:
            found = await self.console.control.config_file(self._bot_id)
        except FleetError as error:
            self.query_one("#verdict", Static).update(
                Text(f"cannot be read: {words.one_line(error.message)}", "bold red")
            )
            return
        self._take(found["file"], found["text"], found["digest"])
        self._area.disabled = False
        self._area.focus()

    def _take(self, file: str, text: str, digest: str) -> None:
        self._file, self._saved, self._digest = file, text, digest
        self.query_one("#file", Static).update(words.visible(file))
        self._area.load_text(text)

    # --- while typing ------------------------------------------------------------------------------------------

    @on(TextArea.Changed)
    def _typed(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(QUIET_S, self._look)

    def _look(self) -> None:
        self.run_worker(self._check(), name="check", group="check", exclusive=True, exit_on_error=False)

    async def _check(self) -> None:
        try:
            seen = await self.console.control.preview(self._bot_id, self._area.text)
        except FleetError as error:
            self._judge(Text(words.one_line(error.message), "yellow"), None)
            return
        changed = "" if self._area.text == self._saved else "changed: "
        if seen["problems"]:
            here = [verdicts.place(problem) for problem in seen["problems"] if problem["file"] == self._file]
            self._judge(Text(verdicts.mistakes(seen["problems"]), "bold red"), next(iter(here), None))
        else:
            self._judge(Text(f"✓ {changed}{verdicts.disturbance(self._bot_id, seen)}", "green"), None)

    def _judge(self, verdict: Text, mistake: tuple[int, int] | None) -> None:
        self._mistake = mistake
        self.query_one("#verdict", Static).update(verdict)

    def action_go(self) -> None:
        """Put the cursor where the first mistake is."""
        if self._mistake is not None:
            line, column = self._mistake
            self._area.move_cursor((max(0, line - 1), max(0, column - 1)), center=True)

    # --- leaving -----------------------------------------------------------------------------------------------

    def action_save(self) -> None:
        """Show what saving will change, then save."""
        self.run_worker(self._save(), name="save", group="save", exclusive=True, exit_on_error=False)

    async def _save(self) -> None:
        text = self._area.text
        if await review(self.console, self._bot_id, text, self._digest):
            self._saved = text
            self.dismiss()

    def action_leave(self) -> None:
        """Go back; what is not saved is asked about."""
        if self._area.text == self._saved:
            self.dismiss()
        else:
            question = Text("What you typed is not saved.")
            self.app.push_screen(Choice(question, ("Go on editing", "Throw it away")), self._thrown_away)

    def _thrown_away(self, choice: str | None) -> None:
        if choice == "Throw it away":
            self.dismiss()


class FleetEditScreen(EditScreen):
    """fleet.toml in an editor."""

    def __init__(self) -> None:
        super().__init__(FLEET)


def file_name(bot_id: str) -> str:
    """Return what the file of a bot, or of the fleet, is called."""
    return "fleet.toml" if bot_id == FLEET else f"{bot_id}.toml"


async def review(app: ConsoleApp, bot_id: str, text: str, digest: str) -> bool:
    """Show what a text would change and disturb; save it when the operator says so. Tells what became of it.

    Returns whether it is saved. A text with mistakes is not saved: they are told.
    """
    try:
        seen = await app.control.preview(bot_id, text)
        if seen["problems"]:
            app.complain(f"not saved: {verdicts.mistakes(seen['problems'])}")
            return False
        if not seen["diff"]:
            app.say("nothing was changed")
            return True
        question = Text.assemble((f"This {verdicts.disturbance(bot_id, seen)}.\n\n", "bold"), coloured(seen["diff"]))
        if await app.push_screen_wait(Choice(question, ("Go on editing", "Save"))) != "Save":
            return False
        await app.control.save_config(bot_id, text, expected_digest=digest, actor=actor())
    except FleetError as error:
        app.complain(f"not saved: {error.message}", error.hint)
        return False
    app.say(f"saved: {file_name(bot_id)}")
    return True


def coloured(diff: str) -> Text:
    """Return a unified diff with its signs in colour too."""
    text = Text()
    for line in diff.splitlines():
        style = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "dim" if line[:1] != " " else "")
        text.append(f"{words.visible(line)}\n", style)
    return text


class Choice(ModalScreen[str]):
    """A question over the screen, and words to choose from; the first one changes nothing and has the cursor."""

    DEFAULT_CSS = """
    Choice { align: center middle; }
    Choice > VerticalScroll { width: 90%; max-width: 110; height: auto; max-height: 85%; border: round $border; padding: 1 2; }
    Choice VerticalScroll Static { height: auto; }
    Choice Horizontal { height: auto; margin-top: 1; }
    Choice Button { margin-right: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss('')", "Back", show=False),
        Binding("right", "app.focus_next", "Next", show=False),
        Binding("left", "app.focus_previous", "Before", show=False),
    ]

    def __init__(self, question: Text, words_: tuple[str, ...]) -> None:
        super().__init__()
        self._question = question
        self._words = words_

    def compose(self) -> ComposeResult:
        """The question and a button a word."""
        with VerticalScroll():
            yield Static(self._question, markup=False)
            with Horizontal():
                for number, word in enumerate(self._words):
                    yield Button(word, id=f"choice-{number}")

    def on_mount(self) -> None:
        """Begin on the word that changes nothing."""
        self.query_one("#choice-0", Button).focus()

    @on(Button.Pressed)
    def _chosen(self, event: Button.Pressed) -> None:
        self.dismiss(str(event.button.label))
