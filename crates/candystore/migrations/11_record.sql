-- Each event has a digest of all that is stored of it and of the digest before it, so that no event can
-- be changed, cut off or slipped in between others without a trace. Events that were stored before this
-- step have none.
ALTER TABLE events ADD COLUMN digest BYTEA;
-- That of the last position, in hexadecimal digits, so that a cut tail is missed.
ALTER TABLE head ADD COLUMN digest TEXT NOT NULL
    DEFAULT '0000000000000000000000000000000000000000000000000000000000000000';
-- The last position of an event without a digest.
ALTER TABLE head ADD COLUMN unchained BIGINT NOT NULL DEFAULT 0;
UPDATE head SET unchained = position;
-- That of the last event of the range, to which the event behind it is chained.
ALTER TABLE pruned ADD COLUMN digest BYTEA;

-- Where the times of events go back: a clock was far ahead before, or is far behind from here on.
CREATE TABLE clock_steps (
    position BIGINT PRIMARY KEY,    -- the first event with an earlier time
    earlier BIGINT NOT NULL,        -- the time of the one before it, in microseconds since 1970
    later BIGINT NOT NULL           -- its own time
);

-- Events whose time was put right. Their digests are of the time that they were stored with.
CREATE TABLE repairs (
    position BIGINT PRIMARY KEY,
    received BIGINT NOT NULL,       -- the time that it was stored with
    repaired BIGINT NOT NULL        -- when it was put right
);
