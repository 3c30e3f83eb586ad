"""The console as a program: screens, keys, themes, and what every one of them shares."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import anyio
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.worker import Worker, WorkerState

from console.tui import words
from console.tui.actions import BY_ID, OperatorAction
from console.tui.alarms import Alarms
from console.tui.clipboard import Copied, capped
from console.tui.keys import own_keys, shown_key
from console.tui.link import Link
from console.tui.memory import Memory
from console.tui.model import FleetModel
from console.tui.orders import Orders
from console.tui.screen import ConsoleScreen
from console.tui.starting import Starting
from console.tui.themed import Themed
from workers.clock import Clock, SystemClock

if TYPE_CHECKING:
    from textual.driver import Driver

    from console.control import Control

TICK_S: Final = 0.25
IDLE_TICKS: Final = 4
"""Without news a screen is brought up to date once in so many ticks: ages grow."""


class Leave(Enum):
    """How the console was left."""

    DETACH = "detach"
    """The bots go on."""
    STOP = "stop"
    """The fleet is to be stopped."""


class ConsoleApp(Themed[Leave]):
    """The console over a Control. `run_async` returns how it was left, None when it was told to or failed.

    attached: the fleet is another process', leaving never stops anything. may_detach: the fleet of this process can
    go on without the console. readonly: orders are refused here already. failure is the error that ended the console.
    A console without a control waits for `use`. painted is set once the first picture is there.
    """

    TITLE = "botdeck"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = Path(__file__).with_name("console.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Quit", show=False, priority=True, id="console.quit"),
        Binding("q", "quit", "Quit", id="console.leave"),
        Binding("question_mark", "help", "Help", id="console.help"),
        Binding("ctrl+p", "palette", "Palette", id="console.palette"),
        Binding("colon", "jump", "Jump", show=False, id="console.jump"),
        Binding("l", "logs", "Logs", id="console.logs"),
        Binding("e", "events", "Events", id="console.events"),
        Binding("dollar_sign", "usage", "Usage", show=False, id="console.usage"),
        Binding("ctrl+t", "next_theme", "Theme", show=False, id="console.theme"),
    ]

    def __init__(
        self,
        control: Control | None = None,
        *,
        attached: bool,
        memory: Memory,
        readonly: bool = False,
        may_detach: bool = True,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(memory)
        self.control: Control = control or cast("Control", Starting())
        self.attached = attached
        self.readonly = readonly
        self.may_detach = may_detach
        self.model = FleetModel()
        self.clock = clock or SystemClock()
        self.link = Link(self.control, self.model, self.clock)
        self._orders = Orders(self)
        self.failure: BaseException | None = None
        self.painted = anyio.Event()
        self._alarms = Alarms(self)
        self._seen = -1
        self._beats = 0

    # --- life --------------------------------------------------------------------------------------------------

    def get_driver_class(self) -> type[Driver]:
        """Return the driver of this platform, for a terminal one that never waits for it."""
        found = super().get_driver_class()
        if found.__name__ != "LinuxDriver":
            return found
        from console.tui.driver import PatientDriver

        return PatientDriver

    def on_mount(self) -> None:
        """Put on the theme and the keys remembered, show the fleet, and follow it."""
        from console.tui.screens.fleet import FleetScreen

        self.wear_themes()
        self.model.order_by(self.memory.text("sort", self.model.sort), reverse=self.memory.flag("reverse"))
        self._take_own_keys()
        self.push_screen(FleetScreen())
        self.link.linked = lambda: self.call_next(self._beat_now)
        self.set_interval(TICK_S, self._beat)
        self.call_after_refresh(self.painted.set)
        if not isinstance(self.control, Starting):
            self._follow()

    def use(self, control: Control) -> None:
        """Show the fleet of a control from now on."""
        self.control = control
        self.link.use(control)
        self._follow()

    def _follow(self) -> None:
        self.run_worker(self.link.run(), name="link", exit_on_error=False)
        self.run_worker(self._alarms.run(), name="alarms", exit_on_error=False)

    def _take_own_keys(self) -> None:
        keymap, mistakes = own_keys(self.memory.keymaps())
        self.set_keymap(keymap)
        if mistakes:
            self.complain("keys.toml: " + "; ".join(mistakes))

    def _beat(self) -> None:
        """Tell the screens to be seen that a tick has passed."""
        if not self.is_running:
            return  # it ends: widgets are being taken away
        self._beats += 1
        if self.model.rev == self._seen and self._beats % IDLE_TICKS:
            return
        self._seen = self.model.rev
        self._alarms.settle()
        for screen in reversed(self.screen_stack):
            if isinstance(screen, ConsoleScreen) and screen.composed and screen.children:
                screen.on_tick()
            if not screen.is_modal:
                return

    def _beat_now(self) -> None:
        """Show the first picture as soon as it is there."""
        self._seen = -1
        self._beat()

    def now(self) -> float:
        """Return the fleet's time in Unix seconds."""
        return self.link.now()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show what went wrong in the background; the console goes on without it."""
        if event.state is WorkerState.ERROR:
            self.log.error(event.worker.error)
            self.complain(f"{event.worker.name or 'a task'} of the console failed: {event.worker.error!r}")

    def get_key_display(self, binding: Binding) -> str:
        """Return a key as the footer shows it."""
        return binding.key_display or shown_key(binding).replace("Ctrl+", "^")

    def _handle_exception(self, error: Exception) -> None:
        """End with `failure` set. The library's own report is left out: it would print every local value."""
        self.failure = self.failure or error
        super()._handle_exception(error)
        self._exit_renderables.clear()

    # --- what is told ------------------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Tell something in passing."""
        self.notify(words.visible(text), markup=False)

    def complain(self, text: str, hint: str = "") -> None:
        """Tell something that went wrong, and what to do."""
        said = "\n".join(words.visible(line) for line in (text, hint) if line)
        self.notify(said, markup=False, severity="error", timeout=10)

    def copy(self, text: str, what: str) -> None:
        """Put a text on the operator's clipboard by way of the terminal (OSC 52), and say what came of it."""
        cut: Copied = capped(text)
        self.copy_to_clipboard(cut.text)
        if cut.whole:
            self.say(f"copied {what}")
        else:
            self.complain(
                f"copied the last {words.count(cut.size)} bytes of {what}: a terminal takes no more",
                "Ctrl+S saves all of it to a file",
            )

    # --- orders ------------------------------------------------------------------------------------------------

    def refusal(self, action: OperatorAction) -> str:
        """Return why an action cannot be done now; empty when it can."""
        return self._orders.refusal(action)

    def action_act(self, action_id: str) -> None:
        """Do an action to what the screen shows."""
        self.act(action_id)

    def act(self, action_id: str, bot_ids: Sequence[str] | None = None) -> None:
        """Do an action to bots (None: those the screen names), asking first where that is due."""
        self._orders.give(BY_ID[action_id], self._targets(bot_ids))

    def _targets(self, bot_ids: Sequence[str] | None) -> list[str]:
        if bot_ids is not None:
            return list(bot_ids)
        return self.screen.targets() if isinstance(self.screen, ConsoleScreen) else []

    # --- screens -----------------------------------------------------------------------------------------------

    def open(self, name: str, *arguments: Any, **options: Any) -> None:
        """Show a screen given as "module:Class"; its module is imported only now."""
        module, _, kind = name.partition(":")
        screen: Screen[Any] = getattr(import_module(module), kind)(*arguments, **options)
        self.push_screen(screen)

    def open_bot(self, bot_id: str, tab: str = "overview") -> None:
        """Show one bot, with a panel of it in front."""
        self.open("console.tui.screens.bot:BotScreen", bot_id, tab)

    def go_home(self) -> None:
        """Show the fleet again, whatever lies above it."""
        while len(self.screen_stack) > 2:
            self.pop_screen()

    def show_filtered(self, text: str) -> None:
        """Show the fleet, filtered."""
        self.go_home()
        self.model.narrow(text)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave out what would open the screen one is on."""
        here = self.screen.IS if self.screen_stack and isinstance(self.screen, ConsoleScreen) else ""
        return action != here and super().check_action(action, parameters)

    def toggle_bars(self) -> None:
        """Draw charts as bars, or as lines again, from the next screen on."""
        self.memory.put(bars=not self.memory.flag("bars"))

    def action_logs(self) -> None:
        """Show the log of the marked bots, of the one the screen shows, or of the whole fleet."""
        self.open("console.tui.screens.logs:LogsScreen", tuple(self.model.marked()))

    def action_events(self) -> None:
        """Show what happened to the marked bots, or to the whole fleet."""
        self.open("console.tui.screens.events:EventsScreen", tuple(self.model.marked()))

    def action_usage(self) -> None:
        """Show what the marked bots, or the whole fleet, spent."""
        self.open("console.tui.screens.usage:UsageScreen", tuple(self.model.marked()))

    def action_help(self) -> None:
        """Show the keys of this screen."""
        from console.tui.screens.help import HelpScreen, keys_of

        self.push_screen(HelpScreen(keys_of(self.screen)))

    def action_palette(self) -> None:
        """Choose an action, then the bots it is done to."""
        from console.tui.palette import Palette

        self.push_screen(Palette(self._targets(None)))

    def action_jump(self) -> None:
        """Go to a bot or a screen by typing its name."""
        self.open("console.tui.screens.jump:JumpScreen")

    async def action_quit(self) -> None:
        """Leave: at once when attached, else after asking what is to become of the fleet."""
        if self.attached:
            self.exit(Leave.DETACH)
        else:
            self.open("console.tui.screens.quit:QuitScreen")

    def action_help_quit(self) -> None:
        """Say how to leave, when somebody presses Ctrl+C."""
        self.say("press q to leave; the bots do not stop for Ctrl+C")
