"""The first thing somebody sees in a folder without a fleet: what it is, and what can be done."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from console.tui import words
from console.tui.themes import BOTDECK

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Choice(Enum):
    """What the newcomer wants."""

    CREATE = "create"
    DEMO = "demo"
    HELP = "help"
    QUIT = "quit"


HELP: Final = """\
A fleet is a folder: fleet.toml says what all bots share, bots/NAME.toml is one bot, .env keeps the secrets. botdeck runs \
every bot of the folder in one process, and applies a file as soon as you save it.

1  Create a fleet here: it comes with one example bot that repeats what it is told.
2  Run `botdeck sandbox` in another terminal: a Telegram of your own, to write to the bot without a token.
3  Get a token from @BotFather, put it into .env, and choose a model in bots/example.toml.

Every command explains itself: botdeck --help. The demo shows all of it without a token or a key."""

_CHOICES: Final = (
    (Choice.CREATE, "Create a fleet here", "fleet.toml, one example bot, .env; nothing that exists is touched"),
    (
        Choice.DEMO,
        "Open the demo",
        "eight bots, a Telegram of their own and people who write to them; nothing leaves this machine",
    ),
    (Choice.HELP, "Help", "what a fleet is, and the first three steps"),
    (Choice.QUIT, "Quit", "change nothing"),
)


class WelcomeApp(App[Choice]):
    """Asks what to do in a folder without a fleet; `run` returns the choice, None when it was left."""

    CSS = """
    Screen { align: center middle; }
    #card { width: 76; max-width: 100%; height: auto; border: round $border; padding: 1 2; }
    OptionList { height: auto; border: none; margin-top: 1; background: transparent; }
    #help { margin-top: 1; display: none; }
    #help.-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,escape,ctrl+q", "leave", "Quit"),
        Binding("enter", "", "Choose"),
    ]
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root

    def compose(self) -> ComposeResult:
        """A card with the choices."""
        with Vertical(id="card"):
            yield Static(f"botdeck: there is no fleet in {words.visible(str(self._root.absolute()))}", markup=False)
            options = [Option(f"{title}\n  {what}", id=choice.value) for choice, title, what in _CHOICES]
            yield OptionList(*options, markup=False)
            yield Static(HELP, id="help", markup=False)
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Begin with the first choice."""
        self.register_theme(BOTDECK)
        self.theme = BOTDECK.name
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        choice = Choice(event.option.id)
        if choice is Choice.HELP:
            self.query_one("#help").toggle_class("-open")
        else:
            self.exit(choice)

    def action_leave(self) -> None:
        """Change nothing."""
        self.exit(Choice.QUIT)
