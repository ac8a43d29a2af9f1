-- One row for each replay: who sent what where, and what became of it.
CREATE TABLE replays (
    id UUID PRIMARY KEY,
    author TEXT NOT NULL,       -- user@host
    started BIGINT NOT NULL,    -- microseconds since 1970, like all times here
    updated BIGINT NOT NULL,    -- when this row was last written; each second while it runs
    finished BIGINT,
    state TEXT NOT NULL,        -- running, done, cancelled, failed
    filter TEXT NOT NULL,       -- as JSON
    target TEXT NOT NULL,       -- replay, live, queue:<name>
    pace TEXT NOT NULL,         -- full, rate:<events a second>, speed:<factor>
    skip_invalid BIGINT NOT NULL,
    planned BIGINT NOT NULL,    -- how many events
    first_position BIGINT,
    last_position BIGINT,
    reached BIGINT NOT NULL,    -- everything up to here is done
    sent BIGINT NOT NULL,
    skipped BIGINT NOT NULL,    -- they broke their contract
    retries BIGINT NOT NULL,    -- how often it was held up and has tried again
    error TEXT
);
CREATE INDEX replays_by_started ON replays (started);
