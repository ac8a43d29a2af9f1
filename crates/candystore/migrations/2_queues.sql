-- One row: what changes whenever queues do, and the last number given to a queue, a consumer, or a
-- message that was put into a queue past the log.
CREATE TABLE bus (
    version UUID NOT NULL,
    number BIGINT NOT NULL
);

-- What of the log up to `cursor` a queue wants has been taken over into `messages`.
CREATE TABLE queues (
    number BIGINT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    declaration TEXT NOT NULL,  -- as JSON, without bindings
    declared BIGINT NOT NULL,   -- when, in microseconds since 1970, like all times here
    cursor BIGINT NOT NULL
);

-- A binding wants what comes after `since` in the log.
CREATE TABLE bindings (
    queue BIGINT NOT NULL,
    exchange TEXT NOT NULL,
    pattern TEXT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (queue, exchange, pattern)
);

-- One row a subscription. Whoever does not renew it in time is gone.
CREATE TABLE consumers (
    number BIGINT PRIMARY KEY,
    queue BIGINT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX consumers_by_queue ON consumers (queue, number);

-- What was taken from the log or put into the queue past it, and is not settled. What has a position
-- and no headers, key or body of its own has those of the log.
CREATE TABLE messages (
    queue BIGINT NOT NULL,
    place BIGINT NOT NULL,      -- the position it has, or the last one when it was put here
    number BIGINT NOT NULL,     -- 0 if it was taken from the log; tells what has one place apart
    position BIGINT,
    key TEXT,
    body BYTEA,
    headers TEXT,
    due BIGINT,                 -- waits until then
    consumer BIGINT,            -- was delivered to this one
    redelivered BIGINT NOT NULL,
    PRIMARY KEY (queue, place, number)
);
CREATE INDEX messages_ready ON messages (queue, place, number)
    WHERE consumer IS NULL AND due IS NULL;
CREATE INDEX messages_due ON messages (queue, due) WHERE due IS NOT NULL;
CREATE INDEX messages_by_consumer ON messages (consumer, place, number)
    WHERE consumer IS NOT NULL;

-- Who waits for an answer, and the answer.
CREATE TABLE calls (
    address TEXT PRIMARY KEY,
    caller UUID NOT NULL,       -- the process
    expires BIGINT NOT NULL,
    body BYTEA
);
CREATE INDEX calls_by_caller ON calls (caller);
