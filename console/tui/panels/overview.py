"""One bot at a glance: why it is where it is, what is wanted of it, what is true of it, what it did lately."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from config.vocabulary import Condition, Phase
from console.judgement import troubles
from console.tui import told, underway, words

if TYPE_CHECKING:
    from rich.console import Console
    from textual.app import ComposeResult

    from console.control import AnsweringRow, LiveRow

LABEL: Final = 14
"""Width of the names at the left."""

_MEANINGS: Final = {
    Phase.DISABLED: "its file says enabled = false",
    Phase.INVALID: "it cannot run until its file, its token or a secret changes",
    Phase.QUEUED: "it waits for its turn to start",
    Phase.STARTING: "it is asking Telegram who it is",
    Phase.RUNNING: "it takes and answers messages",
    Phase.DRAINING: "turns in flight are finished, nothing new is taken",
    Phase.STOPPED: "an operator stopped it",
    Phase.BACKOFF: "it failed and waits before the next try",
    Phase.QUARANTINED: "it failed the same way too often; z tries it again at once",
}

_GOOD_WHEN: Final = {Condition.THROTTLED: False, Condition.HUNG: False, Condition.TOKEN_IN_USE: False}

_MEMORIES: Final = {
    "none": "none",
    "buffer": "the last messages",
    "summary": "the last messages, a summary of the older ones",
}
_STREAMS: Final = {
    "off": "when the answer is whole",
    "edit": "while it is made, by edits",
    "draft": "while it is made, by drafts in private chats",
    "auto": "while it is made, by drafts or by edits",
}


class OverviewPanel(VerticalScroll):
    """The overview as one text that scrolls."""

    DEFAULT_CSS = """
    OverviewPanel { padding: 0 1; }
    OverviewPanel > Static { height: auto; }
    """
    can_focus = True

    def compose(self) -> ComposeResult:
        """Hold one text."""
        yield Static(id="overview", markup=False)

    def show(
        self, row: LiveRow, details: Mapping[str, Any] | None, now: float, answering: Sequence[AnsweringRow] = ()
    ) -> None:
        """Show a bot's row, what Control.bot tells beyond it once it is there, and who is being answered."""
        text = overview(row, details or {}, now, answering)
        self.query_one("#overview", Static).update(hanging(text, LABEL, self.size.width - 4, self.app.console))


def hanging(text: Text, indent: int, width: int, console: Console) -> Text:
    """Return a text with its long lines going on below, under what stands beside the names."""
    lines = []
    for line in text.split("\n", allow_blank=True):
        if line.cell_len > width > indent * 2:
            head, rest = line.divide([indent])
            parts = rest.wrap(console, width - indent)
            line = head + Text(f"\n{' ' * indent}").join(parts)  # noqa: PLW2901 (the same line, broken)
        lines.append(line)
    return Text("\n").join(lines)


def overview(row: LiveRow, details: Mapping[str, Any], now: float, answering: Sequence[AnsweringRow] = ()) -> Text:
    """Return the whole overview."""
    text = Text()
    for title, lines in (
        ("", _standing(row, now)),
        ("Conditions", _conditions(row, now)),
        ("Work", _work(row, answering)),
        ("Configuration", _configuration(row, details)),
        ("Answers", _setup(details)),
        ("Failures held against it", _failures(details, now)),
        ("Tokens", _usage(row, details)),
        ("Lately", _events(details)),
    ):
        found = list(lines)
        if found:
            text.append(f"\n{title}\n" if title else "", "bold")
            text.append_text(Text("\n").join(found)).append("\n")
    return text


def _line(label: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{label:<{LABEL}}", "dim"), (words.one_line(value), style))


def _standing(row: LiveRow, now: float) -> Iterator[Text]:
    """Say where the bot is, why, since when, and when that changes."""
    phase = row["phase"]
    yield _line("phase", f"{phase} for {words.ago(now - row['since'])}" if row["since"] else phase, "bold")
    meaning = next((words_ for known, words_ in _MEANINGS.items() if known == phase), "")
    yield _line("", row["phase_reason"] or meaning)
    if row["phase_reason"] and meaning:
        yield _line("", meaning, "dim")
    if row["retry_at"]:
        yield _line("next try", f"in {words.ago(max(0.0, row['retry_at'] - now))}, at {words.clock(row['retry_at'])}")
    by = told.who(row["desired_actor"]) if row["desired_actor"] else "its file"
    why = f": {row['desired_reason']}" if row["desired_reason"] else ""
    yield _line("wanted", f"{row['desired']}{', paused' if row['paused'] else ''} (by {by}{why})")
    telegram = row["telegram"] or {}
    if telegram:
        yield _line("telegram", f"@{telegram.get('username') or '?'} (id {telegram.get('id')})")
    if row["name"] != row["bot_id"]:
        yield _line("name", row["name"])


def _conditions(row: LiveRow, now: float) -> Iterator[Text]:
    """Say each condition in a line: fine or not, since when, why."""
    amiss = {trouble.removeprefix("not ").partition(":")[0] for trouble in troubles(row)}
    for name, state in row["conditions"].items():
        status = state["status"]
        word = "unknown" if status is None else "yes" if status else "no"
        bad = name in amiss
        sign, style = ("?", "dim") if status is None else ("!", "bold red") if bad else ("✓", "green")
        why = " ".join(part for part in (state["reason"], state["message"]) if part)
        line = Text.assemble((f"{sign} ", style), (f"{name:<17}", "bold" if bad else ""), (f"{word:<8}", style))
        line.append(f"{words.ago(now - state['since']):>5}  ", "dim")
        yield line.append(words.one_line(why))


def _work(row: LiveRow, answering: Sequence[AnsweringRow]) -> Iterator[Text]:
    figures = row["figures"]
    waiting = f"{words.count(row['inbox_open'])} in the inbox"
    if row["inbox_age_s"]:
        waiting += f" (the oldest for {words.ago(row['inbox_age_s'])})"
    yield _line("now", f"{row['in_turn']} in turn, {waiting}, {words.count(row['outbox_open'])} to be sent")
    if answering:
        yield _line("", underway.all_of(answering), "bold")
    yield _line(
        "speed",
        f"{words.rate(figures['per_min'])} messages/min, turns p50 {words.seconds(figures['turn_p50_s'])}"
        f" p95 {words.seconds(figures['turn_p95_s'])}",
    )
    yield _line(
        "so far",
        f"{words.plural(row['turns'], 'turn')}, {words.plural(row['errors'], 'error')} ({figures['errors_1h']} in the last"
        f" hour), {words.plural(row['restarts'], 'restart')}, {words.plural(row['ambiguous_sends'], 'send')} in doubt",
    )
    poll = row["last_poll_age_s"]
    if poll is not None:
        yield _line("last poll", f"{words.ago(poll)} ago")


def _setup(details: Mapping[str, Any]) -> Iterator[Text]:
    """Say who answers and how; nothing of a fleet too old to tell, or where no configuration is good."""
    found: Mapping[str, Any] | None = details.get("setup")
    if not found:
        return
    others = ", then ".join(found["fallbacks"])
    yield _line("model", f"{found['model']}{f'; where it fails {others}' if others else ''}")
    profile = ", and facts of each person" if found["profile"] else ""
    yield _line("memory", f"{_MEMORIES.get(found['memory'], found['memory'])}{profile}")
    yield _line("tools", ", ".join(found["tools"]) or "none")
    yield _line("shown", _STREAMS.get(found["stream"], found["stream"]))
    yield _line("access", found["access"], "bold" if found["access"] != "open" else "")


def _configuration(row: LiveRow, details: Mapping[str, Any]) -> Iterator[Text]:
    if details.get("file"):
        yield _line("file", f"{details['file']} ({details.get('digest') or 'no good state yet'})")
    live, newest = row["observed_generation"], row["generation"]
    state = "the newest is live" if live == newest else f"generation {newest} is not live yet"
    yield _line("generation", f"{live} ({state})", "" if live == newest else "bold yellow")
    if row["config_error"]:
        yield _line("rejected", row["config_error"], "bold red")


def _failures(details: Mapping[str, Any], now: float) -> Iterator[Text]:
    for failure in details.get("failures") or ():
        yield _line(f"{words.ago(now - failure['at'])} ago", str(failure["fingerprint"]))


def _usage(row: LiveRow, details: Mapping[str, Any]) -> Iterator[Text]:
    figures = row["figures"]
    yield _line("today", f"{words.count(figures['tokens_today'])} tokens, {words.money(figures['cost_today'])}")
    totals: Sequence[Mapping[str, Any]] = details.get("usage") or ()
    for total in totals:
        yield _line(
            "so far",
            f"{total['provider']} {total['model']}: {words.plural(total['calls'], 'call')},"
            f" {words.count(total['input_tokens'])} in ({words.count(total['cached_tokens'])} cached),"
            f" {words.count(total['output_tokens'])} out",
        )


def _events(details: Mapping[str, Any]) -> Iterator[Text]:
    shown = [event for event in details.get("events") or () if event["kind"] not in told.NOISE]
    for event in reversed(shown[-10:]):
        style = {"error": "bold red", "warning": "yellow"}.get(told.level(event["kind"]), "")
        yield Text.assemble((f"{words.day_and_clock(event['at'])}  ", "dim"), (told.told(event), style))
