-- What a conversation brings beside its messages: facts about people, condensed beginnings, who may talk, known chats.

ALTER TABLE conversations ADD COLUMN model TEXT NOT NULL DEFAULT '';
-- Messages up to this number are not remembered any more, though they are kept.
ALTER TABLE conversations ADD COLUMN start_seq INTEGER NOT NULL DEFAULT 0;
-- The update that took the last question back: done again after a kill, it must not take back another.
ALTER TABLE conversations ADD COLUMN undone_by INTEGER;

-- US dollars × 10^9; null where the price was not known.
ALTER TABLE usage ADD COLUMN cost_nano INTEGER;

-- The message an answer was shown in while it was written.
ALTER TABLE updates ADD COLUMN preview_id INTEGER;

CREATE TABLE profiles (
    bot_id      TEXT NOT NULL,
    client_id   TEXT NOT NULL,
    user_id     TEXT NOT NULL,
    fact        TEXT NOT NULL,
    value       TEXT NOT NULL,
    actor       TEXT NOT NULL DEFAULT '',
    updated_ms  INTEGER NOT NULL,
    PRIMARY KEY (bot_id, client_id, user_id, fact)
) STRICT, WITHOUT ROWID;

-- What was said up to upto_seq, condensed.
CREATE TABLE summaries (
    bot_id           TEXT NOT NULL,
    client_id        TEXT NOT NULL,
    conversation_id  TEXT NOT NULL,
    upto_seq         INTEGER NOT NULL,
    text             TEXT NOT NULL,
    updated_ms       INTEGER NOT NULL,
    PRIMARY KEY (bot_id, client_id, conversation_id)
) STRICT, WITHOUT ROWID;

-- People admitted (paired) or shut out (blocked) at run time.
CREATE TABLE access (
    bot_id   TEXT NOT NULL,
    user_id  INTEGER NOT NULL,
    state    TEXT NOT NULL,
    name     TEXT NOT NULL DEFAULT '',
    actor    TEXT NOT NULL DEFAULT '',
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (bot_id, user_id)
) STRICT, WITHOUT ROWID;

-- One-time codes, as digests only: the file lets nobody in.
CREATE TABLE pairing_codes (
    bot_id      TEXT NOT NULL,
    digest      TEXT NOT NULL,
    expires_ms  INTEGER NOT NULL,
    actor       TEXT NOT NULL DEFAULT '',
    created_ms  INTEGER NOT NULL,
    PRIMARY KEY (bot_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE chats (
    bot_id      TEXT NOT NULL,
    chat_id     INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    title       TEXT NOT NULL DEFAULT '',
    state       TEXT NOT NULL,
    moved_to    INTEGER,
    updated_ms  INTEGER NOT NULL,
    PRIMARY KEY (bot_id, chat_id)
) STRICT, WITHOUT ROWID;
