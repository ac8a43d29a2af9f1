-- Fields of the payload that have an index, so that questions for them need not read every event.
CREATE TABLE payload_indexes (
    number BIGINT PRIMARY KEY,  -- its indexes are payload_<number>_data and payload_<number>_whole
    pointer TEXT NOT NULL UNIQUE,
    made BIGINT NOT NULL        -- when it was complete, in microseconds since 1970
);
