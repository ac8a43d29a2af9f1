-- Messages that are not due yet. A row goes when the bus has its message. That of a message that was
-- cancelled stays for a day after it would have been due, so that a copy of it is known.
CREATE TABLE scheduled (
    id UUID PRIMARY KEY,        -- the envelope's
    kind TEXT NOT NULL,         -- event, command
    key TEXT NOT NULL,
    due BIGINT NOT NULL,        -- microseconds since 1970, like all times here
    since BIGINT NOT NULL,      -- when it came here
    next BIGINT NOT NULL,       -- when it is sent: when it is due, and later if that has failed
    claimed BIGINT,             -- until then a process is sending it
    cancelled BIGINT,           -- when that was
    attempts BIGINT NOT NULL,   -- how often sending it has failed
    error TEXT,                 -- why it has failed the last time
    headers TEXT,
    body BYTEA NOT NULL
);
CREATE INDEX scheduled_by_next ON scheduled (next, since);
CREATE INDEX scheduled_by_key ON scheduled (key, next, since, id);
CREATE INDEX scheduled_by_due ON scheduled (due, id);
