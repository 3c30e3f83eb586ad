"""A short form for a new bot; its file is written by the fleet, which takes it up at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Button, Checkbox, Footer, Input, Label, Select, Static, TextArea

from config.errors import FleetError
from config.vocabulary import PROVIDERS, is_bot_id
from console.tui import words
from console.tui.deeds import actor
from console.tui.screen import ConsoleScreen
from console.tui.widgets.header import Header

if TYPE_CHECKING:
    from textual.app import ComposeResult

FIELDS: Final = (
    ("bot_id", "Name", "a to z, 0 to 9, - and _; becomes bots/NAME.toml"),
    ("token", "Token", "from @BotFather; or ${VARIABLE}, file:PATH, cmd:COMMAND"),
    ("model", "Model", "as the provider names it; may be left out where fleet.toml says it"),
    ("base_url", "Model's address", "only for a provider of your own: https://…/v1"),
    ("api_key", "Model's key", "${VARIABLE}, file:PATH or cmd:COMMAND; left out: what fleet.toml says"),
)
SECRET: Final = frozenset({"token", "api_key"})


class AddScreen(ConsoleScreen):
    """The form. A token typed in full goes into `.env`, never into the bot's file."""

    DEFAULT_CSS = """
    AddScreen VerticalScroll { padding: 1 2; }
    AddScreen .row { height: auto; margin-bottom: 1; }
    AddScreen .row Label { width: 18; padding-top: 0; }
    AddScreen .row Input, AddScreen .row Select { width: 1fr; }
    AddScreen Input, AddScreen Input:focus { height: 1; border: none; background: $panel; padding: 0 1; }
    AddScreen Input:focus, AddScreen TextArea:focus { background: $block-cursor-background; }
    AddScreen Select > SelectCurrent { border: none; height: 1; padding: 0 1; background: $panel; }
    AddScreen Select { height: 1; }
    AddScreen TextArea, AddScreen TextArea:focus { width: 1fr; height: 5; border: none; padding: 0 1; }
    AddScreen TextArea { background: $panel; }
    AddScreen Checkbox, AddScreen Checkbox:focus { border: none; padding: 0; margin-left: 18; background: transparent; }
    AddScreen #wrong { height: auto; color: $error; text-style: bold; padding: 0 2; }
    AddScreen #buttons { height: auto; padding: 0 2; }
    AddScreen Button { margin-right: 2; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.pop_screen", "Back", id="add.back"),
        Binding("ctrl+s", "add", "Add", priority=True, id="add.save"),
    ]

    def compose(self) -> ComposeResult:
        """One row a field, what is wrong, and two buttons."""
        yield Header()
        with VerticalScroll():
            for name, label, help_ in FIELDS[:2]:
                yield from self._row(name, label, help_)
            with Horizontal(classes="row"):
                yield Label("Provider")
                yield Select([(name, name) for name in PROVIDERS], value=PROVIDERS[0], allow_blank=False, id="provider")
            for name, label, help_ in FIELDS[2:]:
                yield from self._row(name, label, help_)
            with Horizontal(classes="row"):
                yield Label("System prompt")
                yield TextArea(id="prompt")
            yield Checkbox("ask Telegram whether the token is good (getMe)", value=True, id="verify")
        yield Static(id="wrong", markup=False)
        with Horizontal(id="buttons"):
            yield Button("Back", id="back")
            yield Button("Add", variant="primary", id="add")
        yield Footer()

    def _row(self, name: str, label: str, help_: str) -> ComposeResult:
        with Horizontal(classes="row"):
            yield Label(label)
            yield Input(placeholder=help_, id=name, password=name in SECRET)

    def on_mount(self) -> None:
        """Begin with the name."""
        self.query_one("#bot_id", Input).focus()

    def on_tick(self) -> None:
        """As ConsoleScreen.on_tick."""
        self.query_one(Header).update()

    def where(self) -> str:
        """Name the screen."""
        return "add a bot"

    @on(Button.Pressed, "#back")
    def _back(self) -> None:
        self.dismiss()

    @on(Button.Pressed, "#add")
    def _pressed(self) -> None:
        self.action_add()

    @on(Input.Submitted)
    def _next(self) -> None:
        self.focus_next()

    def action_add(self) -> None:
        """Check the form, then have the bot added."""
        draft = self._draft()
        wrong = _wrong(draft)
        if wrong:
            self._complain(wrong)
        else:
            self.run_worker(self._add(draft), name="add", group="add", exclusive=True, exit_on_error=False)

    def _draft(self) -> dict[str, Any]:
        typed = {name: self.query_one(f"#{name}", Input).value.strip() for name, _, _ in FIELDS}
        return {
            **typed,
            "provider": str(self.query_one("#provider", Select).value),
            "prompt": self.query_one("#prompt", TextArea).text.strip(),
            "verify": self.query_one("#verify", Checkbox).value,
        }

    async def _add(self, draft: dict[str, Any]) -> None:
        self._complain("")
        self.console.say(f"adding {draft['bot_id']} …")
        try:
            done = await self.console.control.add_bot(draft, actor=actor())  # type: ignore[arg-type]
        except FleetError as error:
            self._complain(f"{error.message}{f' ({error.hint})' if error.hint else ''}")
            return
        name = f" (@{done['username']})" if done.get("username") else ""
        self.console.say(f"added: {done['bot_id']}{name}")
        self.dismiss()

    def _complain(self, text: str) -> None:
        self.query_one("#wrong", Static).update(words.visible(text))


def _wrong(draft: dict[str, Any]) -> str:
    """Return what is missing in a form, empty when nothing is."""
    if not is_bot_id(draft["bot_id"]):
        return "Name: use a to z, 0 to 9, - and _, at most 50 characters, beginning with a letter or digit"
    return "" if draft["token"] else "Token: @BotFather gives it to you; ${VARIABLE} takes it from .env"
