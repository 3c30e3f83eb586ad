-- Keys of the HTTP API, as digests only: the file lets nobody in. Keys are the fleet's: bot_id is '_fleet'.
CREATE TABLE api_keys (
    bot_id      TEXT NOT NULL,
    key_id      TEXT NOT NULL,
    digest      TEXT NOT NULL,
    name        TEXT NOT NULL,
    scope       TEXT NOT NULL,
    client_id   TEXT,
    actor       TEXT NOT NULL DEFAULT '',
    created_ms  INTEGER NOT NULL,
    expires_ms  INTEGER,
    used_ms     INTEGER,
    revoked_ms  INTEGER,
    PRIMARY KEY (bot_id, key_id)
) STRICT, WITHOUT ROWID;
