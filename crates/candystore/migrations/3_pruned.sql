-- Positions whose events retention has let go, so that they are told from lost ones. Ranges do not
-- overlap, and neighbours are one range.
CREATE TABLE pruned (
    first BIGINT PRIMARY KEY,
    last BIGINT NOT NULL
);
