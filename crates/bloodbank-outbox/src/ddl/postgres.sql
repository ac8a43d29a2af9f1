-- Messages that wait for the relay. It deletes a row when the bus has confirmed it.
CREATE TABLE IF NOT EXISTS {outbox} (
    seq bigint GENERATED ALWAYS AS IDENTITY (CACHE 1) PRIMARY KEY, -- the order of sending
    id uuid NOT NULL UNIQUE,                                       -- the envelope's id
    kind smallint NOT NULL CHECK (kind IN (1, 2)),                 -- 1: event, 2: command
    key text NOT NULL,                                             -- the routing key
    envelope bytea NOT NULL,                                       -- the bytes that are published
    headers text,                                                  -- what travels beside them, as JSON
    created timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts integer NOT NULL DEFAULT 0,                           -- how often the row itself has failed
    last_error text,
    parked timestamptz                                             -- since when the relay passes it over
);

-- Messages that were handled, by queue.
CREATE TABLE IF NOT EXISTS {inbox} (
    consumer text NOT NULL,
    id uuid NOT NULL,
    handled timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (consumer, id)
);
CREATE INDEX IF NOT EXISTS {index} ON {on} (handled);
