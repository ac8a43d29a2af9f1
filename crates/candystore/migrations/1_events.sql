-- One row: what a writer must know before it writes.
CREATE TABLE head (
    position BIGINT NOT NULL,   -- the last one given
    received BIGINT NOT NULL,   -- when that was, in microseconds since 1970
    duplicates BIGINT NOT NULL, -- how many events came again
    commits BIGINT NOT NULL     -- grows with every change of anything
);
INSERT INTO head VALUES (0, 0, 0, 0);

CREATE TABLE events (
    position BIGINT PRIMARY KEY,
    id UUID NOT NULL,
    kind TEXT NOT NULL,         -- event, command
    key TEXT NOT NULL,          -- the routing key
    source TEXT NOT NULL,
    timestamp BIGINT,           -- what the envelope says, in microseconds since 1970
    received BIGINT NOT NULL,   -- when it was stored; never goes back
    correlation_id UUID,
    causation_id UUID,
    session_id TEXT,
    standing TEXT NOT NULL,     -- valid, invalid, unknown, malformed
    violation TEXT,             -- the first thing wrong with it
    schema_digest UUID,         -- of the schema that judged it
    headers TEXT,               -- what travelled beside it, as JSON
    body BYTEA NOT NULL,        -- as it came
    checksum BIGINT NOT NULL,   -- CRC-32 of the body
    imported BIGINT NOT NULL    -- 1 if it is history of another store, which no queue gets
);
CREATE UNIQUE INDEX events_by_id ON events (id);
CREATE INDEX events_by_key ON events (key, position);
CREATE INDEX events_by_source ON events (source, position);
CREATE INDEX events_by_received ON events (received, position);
CREATE INDEX events_by_correlation ON events (correlation_id, position)
    WHERE correlation_id IS NOT NULL;
CREATE INDEX events_by_causation ON events (causation_id, position)
    WHERE causation_id IS NOT NULL;
CREATE INDEX events_by_session ON events (session_id, position)
    WHERE session_id IS NOT NULL;
CREATE INDEX events_by_standing ON events (standing, position)
    WHERE standing <> 'valid';
CREATE INDEX events_by_command ON events (position) WHERE kind = 'command';

-- Every key there ever was, so that a pattern becomes a few keys.
CREATE TABLE keys (
    key TEXT PRIMARY KEY
);

-- What came with the id of another event and is not the same.
CREATE TABLE quarantine (
    number BIGINT PRIMARY KEY,
    received BIGINT NOT NULL,
    id UUID NOT NULL,
    position BIGINT NOT NULL,   -- the event that has the id
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    headers TEXT,
    body BYTEA NOT NULL
);
