-- Every table is clustered by its bot: bot_id comes first in the primary key and there is no rowid beside it.
-- Times are Unix milliseconds (…_ms). Rows of the fleet as a whole have bot_id '_fleet'.

CREATE TABLE meta (
    bot_id      TEXT NOT NULL,
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    updated_ms  INTEGER NOT NULL,
    PRIMARY KEY (bot_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE bots (
    bot_id              TEXT NOT NULL PRIMARY KEY,
    name                TEXT NOT NULL DEFAULT '',
    telegram_id         INTEGER,
    username            TEXT NOT NULL DEFAULT '',
    desired             TEXT NOT NULL DEFAULT 'run',
    desired_actor       TEXT NOT NULL DEFAULT '',
    desired_reason      TEXT NOT NULL DEFAULT '',
    paused              INTEGER NOT NULL DEFAULT 0,
    phase               TEXT NOT NULL DEFAULT 'stopped',
    phase_reason        TEXT NOT NULL DEFAULT '',
    phase_since_ms      INTEGER NOT NULL DEFAULT 0,
    conditions          TEXT NOT NULL DEFAULT '{}',
    restarts            INTEGER NOT NULL DEFAULT 0,
    failures            TEXT NOT NULL DEFAULT '[]',
    backoff_level       INTEGER NOT NULL DEFAULT 0,
    retry_at_ms         INTEGER,
    generation          INTEGER NOT NULL DEFAULT 0,
    observed_generation INTEGER NOT NULL DEFAULT 0,
    config_digest       TEXT NOT NULL DEFAULT '',
    config_error        TEXT NOT NULL DEFAULT '',
    next_offset         INTEGER,
    turns               INTEGER NOT NULL DEFAULT 0,
    errors              INTEGER NOT NULL DEFAULT 0,
    ambiguous_sends     INTEGER NOT NULL DEFAULT 0,
    created_ms          INTEGER NOT NULL,
    updated_ms          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The inbox. An update is open while outcome is null; its payload (raw JSON) is dropped when it is finished
-- (a poison update keeps it), its key stays to recognise a repeat.
CREATE TABLE updates (
    bot_id       TEXT NOT NULL,
    update_id    INTEGER NOT NULL,
    arrival      INTEGER NOT NULL,
    lane         TEXT NOT NULL,
    payload      TEXT NOT NULL,
    received_ms  INTEGER NOT NULL,
    finished_ms  INTEGER,
    outcome      TEXT,
    attempts     INTEGER NOT NULL DEFAULT 0,
    error        TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (bot_id, update_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX updates_open ON updates (bot_id, arrival) WHERE outcome IS NULL;

-- The ledger of sends: pending → attempting → sent | failed | skipped. params are dropped when it is sent.
CREATE TABLE outbox (
    bot_id       TEXT NOT NULL,
    outbox_id    INTEGER NOT NULL,
    update_id    INTEGER,
    chat_id      INTEGER NOT NULL,
    lane         TEXT NOT NULL,
    part         INTEGER NOT NULL,
    parts        INTEGER NOT NULL,
    method       TEXT NOT NULL,
    params       TEXT NOT NULL,
    state        TEXT NOT NULL,
    attempts     INTEGER NOT NULL DEFAULT 0,
    ambiguous    INTEGER NOT NULL DEFAULT 0,
    message_id   INTEGER,
    error        TEXT NOT NULL DEFAULT '',
    created_ms   INTEGER NOT NULL,
    finished_ms  INTEGER,
    PRIMARY KEY (bot_id, outbox_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX outbox_open ON outbox (bot_id, outbox_id) WHERE state IN ('pending', 'attempting');

CREATE TABLE conversations (
    bot_id           TEXT NOT NULL,
    client_id        TEXT NOT NULL,
    conversation_id  TEXT NOT NULL,
    user_id          TEXT NOT NULL DEFAULT '',
    channel          TEXT NOT NULL DEFAULT '',
    last_seq         INTEGER NOT NULL DEFAULT 0,
    turns            INTEGER NOT NULL DEFAULT 0,
    created_ms       INTEGER NOT NULL,
    updated_ms       INTEGER NOT NULL,
    PRIMARY KEY (bot_id, client_id, conversation_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    bot_id           TEXT NOT NULL,
    client_id        TEXT NOT NULL,
    conversation_id  TEXT NOT NULL,
    seq              INTEGER NOT NULL,
    role             TEXT NOT NULL,
    content          TEXT NOT NULL,
    update_id        INTEGER,
    created_ms       INTEGER NOT NULL,
    PRIMARY KEY (bot_id, client_id, conversation_id, seq)
) STRICT, WITHOUT ROWID;

-- event_id, log_id, usage_id and outbox_id are microseconds of Unix time, moved on where two would meet.
CREATE TABLE events (
    bot_id    TEXT NOT NULL,
    event_id  INTEGER NOT NULL,
    at_ms     INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    data      TEXT NOT NULL,
    actor     TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (bot_id, event_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE logs (
    bot_id     TEXT NOT NULL,
    log_id     INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    level      INTEGER NOT NULL,
    logger     TEXT NOT NULL,
    text       TEXT NOT NULL,
    exception  TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (bot_id, log_id)
) STRICT, WITHOUT ROWID;

-- One row a minute and name: counters add to count, measurements to count, total, minimum and maximum.
CREATE TABLE metrics (
    bot_id   TEXT NOT NULL,
    name     TEXT NOT NULL,
    minute   INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    total    REAL NOT NULL,
    minimum  REAL NOT NULL,
    maximum  REAL NOT NULL,
    PRIMARY KEY (bot_id, name, minute)
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    bot_id           TEXT NOT NULL,
    usage_id         INTEGER NOT NULL,
    at_ms            INTEGER NOT NULL,
    client_id        TEXT NOT NULL,
    conversation_id  TEXT NOT NULL,
    user_id          TEXT NOT NULL,
    update_id        INTEGER,
    provider         TEXT NOT NULL,
    model            TEXT NOT NULL,
    input_tokens     INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    latency_ms       INTEGER NOT NULL,
    PRIMARY KEY (bot_id, usage_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE registrations (
    bot_id      TEXT NOT NULL,
    version     INTEGER NOT NULL,
    status      TEXT NOT NULL,
    config      TEXT NOT NULL,
    metadata    TEXT NOT NULL DEFAULT '{}',
    created_ms  INTEGER NOT NULL,
    PRIMARY KEY (bot_id, version)
) STRICT, WITHOUT ROWID;
