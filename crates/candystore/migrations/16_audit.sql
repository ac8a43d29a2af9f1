-- Who did what, beside what is published: what was refused for lack of rights, and what operators did.
-- Rows are only added.
CREATE TABLE audit (
    number BIGINT PRIMARY KEY,
    happened BIGINT NOT NULL,   -- microseconds since 1970, like all times here
    who TEXT NOT NULL,          -- a token's name, or a user of the machine
    action TEXT NOT NULL,       -- publish, dlq.purge, token.new, …
    subject TEXT NOT NULL,      -- on what: a routing key, a queue, a token
    outcome TEXT NOT NULL,      -- done, refused, failed
    detail TEXT,                -- how much, or why not; never a payload
    origin TEXT NOT NULL        -- an address, or the command line
);
CREATE INDEX audit_by_time ON audit (happened, number);
CREATE INDEX audit_by_who ON audit (who, number);
