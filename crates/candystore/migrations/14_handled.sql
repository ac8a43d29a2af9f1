-- Messages of the log that queues have handled at the first attempt: one row for those that a consumer has
-- settled together, of one block of 1,024 positions. What became of others is in `reports`.
CREATE TABLE handled (
    block BIGINT NOT NULL,      -- position / 1024
    at BIGINT NOT NULL,         -- when they were settled, in microseconds since 1970
    queue TEXT NOT NULL,
    positions TEXT NOT NULL,    -- such as `2049 2051-2060`, in order
    messages BIGINT NOT NULL,   -- how many these are
    consumer TEXT NOT NULL      -- who had them
);
CREATE INDEX handled_by_block ON handled (block);
CREATE INDEX handled_by_time ON handled (at);
