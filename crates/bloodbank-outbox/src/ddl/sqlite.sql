-- Messages that wait for the relay. It deletes a row when the bus has confirmed it.
CREATE TABLE IF NOT EXISTS {outbox} (
    seq integer PRIMARY KEY AUTOINCREMENT,          -- the order of sending; no number comes twice
    id text NOT NULL UNIQUE,                        -- the envelope's id
    kind integer NOT NULL CHECK (kind IN (1, 2)),   -- 1: event, 2: command
    key text NOT NULL,                              -- the routing key
    envelope blob NOT NULL,                         -- the bytes that are published
    headers text,                                   -- what travels beside them, as JSON
    created text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    attempts integer NOT NULL DEFAULT 0,            -- how often the row itself has failed
    last_error text,
    parked text                                     -- since when the relay passes it over
);

-- Messages that were handled, by queue.
CREATE TABLE IF NOT EXISTS {inbox} (
    consumer text NOT NULL,
    id text NOT NULL,
    handled text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    PRIMARY KEY (consumer, id)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS {index} ON {on} (handled);
