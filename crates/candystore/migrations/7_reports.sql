-- What became of messages: one row whenever one leaves a queue, or fails in it.
CREATE TABLE reports (
    id UUID NOT NULL,           -- the envelope's
    at BIGINT NOT NULL,         -- microseconds since 1970, like all times here
    queue TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    fate TEXT NOT NULL,         -- handled, dropped, failed, parked
    reason TEXT,                -- why it was dropped, or parked in a word
    error TEXT,                 -- what its handler said
    next BIGINT,                -- when it is tried again
    consumer TEXT,              -- who had it
    replay TEXT                 -- the replay that it was part of
);
CREATE INDEX reports_by_id ON reports (id, at);
CREATE INDEX reports_by_time ON reports (at);

-- Who it is, and since when a consumer has a message.
ALTER TABLE consumers ADD COLUMN name TEXT;
ALTER TABLE messages ADD COLUMN since BIGINT;

-- Who moved a queue over the log, and how far.
CREATE TABLE moves (
    at BIGINT NOT NULL,
    author TEXT NOT NULL,
    queue TEXT NOT NULL,
    origin BIGINT NOT NULL,     -- it had read up to here
    target BIGINT NOT NULL,     -- and reads on after this one
    again BIGINT NOT NULL,      -- how many messages it gives again
    skipped BIGINT NOT NULL     -- how many it will never give
);

-- Queues of a broker that begin with what is stored.
CREATE TABLE catch_ups (
    queue TEXT PRIMARY KEY,
    begun BIGINT NOT NULL,      -- when it was declared, in microseconds since 1970
    reached BIGINT NOT NULL,    -- everything up to this position is handled
    done BIGINT,                -- what is behind this position comes from the broker; null before
    done_at BIGINT,
    owner UUID,                 -- the process that brings the past
    expires BIGINT              -- until then it does
);
