"""The answers of a Control: plain dicts, JSON-ready. Moments are Unix time in seconds, ages and durations seconds."""

from __future__ import annotations

from typing import Any, TypedDict


class Info(TypedDict):
    """Who answers: the fleet, its process, and what it can do."""

    api: str
    version: str
    name: str
    pid: int
    start_id: str
    started_at: float
    root: str
    database: str
    capabilities: list[str]


class FleetRow(TypedDict):
    """The fleet as a whole. pid, started_at and version are None when it does not run."""

    name: str
    running: bool
    pid: int | None
    started_at: float | None
    version: str | None
    root: str
    database: str
    bots: int
    phases: dict[str, int]
    held: bool
    store_fault: str | None
    outage: str | None
    config_errors: list[str]


class BotRow(TypedDict):
    """One bot. since, retry_at are moments; last_poll_age_s is None for a bot that never polled or does not run."""

    bot_id: str
    name: str
    phase: str
    phase_reason: str
    conditions: dict[str, Any]
    desired: str
    paused: bool
    since: float | None
    telegram: dict[str, Any] | None
    last_poll_age_s: float | None
    inbox_open: int
    outbox_open: int
    turns: int
    errors: int
    restarts: int
    ambiguous_sends: int
    retry_at: float | None
    generation: int
    observed_generation: int
    config_error: str | None


class Status(TypedDict):
    """What `botdeck status --json` prints."""

    fleet: FleetRow
    bots: list[BotRow]


class Outcome(TypedDict):
    """What became of one bot asked for: ok, or error (word), message, hint. `at` is when it was asked."""

    bot_id: str
    ok: bool
    error: str
    message: str
    hint: str
    at: float


class LogLine(TypedDict):
    """One log line; level is the word (debug … critical), exception the redacted traceback or empty."""

    bot_id: str
    at: float
    level: str
    logger: str
    text: str
    exception: str


class EventLine(TypedDict):
    """One past fact."""

    bot_id: str
    at: float
    kind: str
    data: dict[str, Any]
    actor: str


class Setup(TypedDict):
    """How a bot answers, by its configuration: "provider model" of the model and its fallbacks, names of tools, modes."""

    model: str
    fallbacks: list[str]
    memory: str
    profile: bool
    tools: list[str]
    stream: str
    access: str


# --- live ----------------------------------------------------------------------------------------------------


class Figures(TypedDict):
    """What a bot does at the moment. trend: messages in each of the last 20 quarter minutes, oldest first.

    turn_p50_s and turn_p95_s are of the last turns; tokens_today counts input and output since local midnight;
    cost_today is in US dollars, None where the price of a model is not known. last_event is the last one worth showing.
    """

    per_min: float
    trend: list[int]
    turn_p50_s: float | None
    turn_p95_s: float | None
    errors_1h: int
    tokens_today: int
    cost_today: float | None
    last_event: EventLine | None


class LiveRow(BotRow):
    """What a console shows of a bot."""

    in_turn: int
    inbox_age_s: float | None
    desired_actor: str
    desired_reason: str
    figures: Figures


class FleetFigures(TypedDict):
    """The figures of all bots together. loop_lag_ms is the 99th percentile of the last minute."""

    per_min: float
    trend: list[int]
    turn_p95_s: float | None
    errors_1h: int
    tokens_today: int
    cost_today: float | None
    loop_lag_ms: float


class LiveFleet(FleetRow):
    """The fleet as a whole, and what it does at the moment."""

    figures: FleetFigures


class Frame(TypedDict):
    """One picture of a fleet, or what changed since the one before.

    rev grows by one a frame of one feed. full: bots is the whole fleet; else the rows that changed. gone: ids that are
    no more. at is the fleet's clock.
    """

    rev: int
    start_id: str
    at: float
    full: bool
    fleet: LiveFleet
    bots: list[LiveRow]
    gone: list[str]


class Column(TypedDict):
    """One measure over time, a value a step; None where nothing was counted. p50, p95 only of measured times.

    Percentiles are read off a histogram: at most a quarter above the true value.
    """

    count: list[int | None]
    total: list[float | None]
    max: list[float | None]
    p50: list[float | None]
    p95: list[float | None]


class Series(TypedDict):
    """Measures over time; `start` is the moment of the first step."""

    start: float
    step_s: int
    names: dict[str, Column]


# --- conversations ---------------------------------------------------------------------------------------------


class ConversationRow(TypedDict):
    """One conversation. last_text has at most 200 characters; operator: it was led from the console."""

    client_id: str
    conversation_id: str
    user_id: str
    channel: str
    turns: int
    messages: int
    created_at: float
    updated_at: float
    last_role: str
    last_text: str
    operator: bool


class MessageRow(TypedDict):
    """One message; what an answer took stands with it, 0 and "" with a question and where it is not known any more."""

    seq: int
    role: str
    text: str
    at: float
    update_id: int | None
    model: str
    tokens_in: int
    tokens_out: int
    latency_ms: int


class Said(TypedDict):
    """A bot's answer to its operator. error is empty when it is an answer, else why there is only the error text."""

    text: str
    error: str
    provider: str
    model: str
    tokens_in: int
    tokens_out: int
    latency_s: float


class ToolRun(TypedDict):
    """One tool called for an answer: for how long it runs, or ran; error is empty when it went well."""

    tool: str
    running: bool
    took_s: float
    error: str


class Saying(TypedDict):
    """What is new of an answer under way: its text is the first `keep` characters of what it was, then `more`.

    tools are those called by now, the last 100 of them. said is None until it is whole; then it alone counts.
    """

    keep: int
    more: str
    tools: list[ToolRun]
    age_s: float
    said: Said | None


class AnsweringRow(TypedDict):
    """One conversation that is being answered at this moment, for age_s.

    characters of the answer are written, 0 as well where it is not streamed; tools are those that run now.
    """

    client_id: str
    conversation_id: str
    operator: bool
    age_s: float
    characters: int
    tools: list[ToolRun]


class UsageRow(TypedDict):
    """What one bot spent, over one day, chat, person or model (key).

    tokens_cached are among tokens_in. cost is in US dollars, of the calls whose price is known, None when none is;
    unpriced counts the others.
    """

    bot_id: str
    key: str
    calls: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    cost: float | None
    unpriced: int


class FactRow(TypedDict):
    """One fact about a person; by says who wrote it down."""

    fact: str
    value: str
    by: str
    updated_at: float


# --- files -----------------------------------------------------------------------------------------------------


class ConfigFile(TypedDict):
    """A file as it lies on the disk; digest is what `save_config` wants to see again."""

    bot_id: str
    file: str
    text: str
    digest: str


class Preview(TypedDict):
    """What a text in place of a file would do. disturbs: nothing, in_place, next_turn, restart or fleet."""

    ok: bool
    problems: list[dict[str, Any]]
    changes: list[dict[str, Any]]
    diff: str
    disturbs: str


class Draft(TypedDict, total=False):
    """A bot to be added. token and api_key: the secret itself (it goes into .env), or ${NAME}, file:PATH, cmd:COMMAND.

    verify asks Telegram first whether the token is good. bot_id and token are needed, the rest may be left out.
    """

    bot_id: str
    token: str
    name: str
    provider: str
    model: str
    api_key: str
    base_url: str
    prompt: str
    telegram_url: str
    verify: bool


class Invitation(TypedDict):
    """A code that lets one person in until a moment; mode is the bot's, "" when it has no good configuration."""

    bot_id: str
    code: str
    expires_at: float
    mode: str


class AccessRow(TypedDict):
    """Somebody the operator, or a code, decided about: paired or blocked."""

    user_id: int
    state: str
    name: str
    by: str
    at: float


class AccessAnswer(TypedDict):
    """Who may talk to a bot: the lists of its file, people decided about, and how many codes wait to be used."""

    bot_id: str
    mode: str
    allow: list[int | str]
    block: list[int | str]
    admins: list[int | str]
    people: list[AccessRow]
    open_codes: int
