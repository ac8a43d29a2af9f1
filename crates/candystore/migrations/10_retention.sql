-- One row: when retention was carried out, and by whom it is.
CREATE TABLE retention (
    owner UUID,                 -- the process that is at it
    expires BIGINT NOT NULL,    -- until then, unless it is heard of
    began BIGINT,               -- microseconds since 1970, like all times here
    ended BIGINT,
    events BIGINT NOT NULL,     -- how many it let go
    held BIGINT NOT NULL,       -- how many stayed, as they are still needed
    error TEXT,
    due BIGINT NOT NULL         -- when it is carried out the next time
);
INSERT INTO retention VALUES (NULL, 0, NULL, NULL, 0, 0, NULL, 0);
