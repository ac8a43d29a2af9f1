-- Messages that cannot be read as they were stored. They stay where they lie, and the number 0 for their
-- consumer keeps them from everybody.
CREATE TABLE damaged (
    queue BIGINT NOT NULL,
    place BIGINT NOT NULL,
    number BIGINT NOT NULL,
    noted BIGINT NOT NULL,      -- when it was found, in microseconds since 1970
    reason TEXT NOT NULL,
    PRIMARY KEY (queue, place, number)
);
