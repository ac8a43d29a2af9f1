-- Figures of what is stored, by hour and by day, kept by whoever stores and prunes. Microseconds, and
-- since 1970, like all times here.
CREATE TABLE summaries (
    hours BIGINT NOT NULL,      -- 1 or 24: each event is counted in its hour and in its day
    start BIGINT NOT NULL,      -- when that began
    kind TEXT NOT NULL,         -- event, command
    key TEXT NOT NULL,
    source TEXT NOT NULL,
    events BIGINT NOT NULL,
    bytes BIGINT NOT NULL,      -- of the bodies
    invalid BIGINT NOT NULL,
    unknown BIGINT NOT NULL,
    malformed BIGINT NOT NULL,
    told BIGINT NOT NULL,       -- events that say when they happened
    latency BIGINT NOT NULL,    -- from then to when they were stored, in all; each at most an hour
    longest BIGINT NOT NULL,    -- the longest of these, also if it was pruned; -2^63 before the first
    -- How many of these lie below 0, 128, 192, 256, 384, 512, 768 and so on, and not below the bound
    -- before; the last has all beyond 2^32.
    l0 BIGINT NOT NULL, l1 BIGINT NOT NULL, l2 BIGINT NOT NULL, l3 BIGINT NOT NULL,
    l4 BIGINT NOT NULL, l5 BIGINT NOT NULL, l6 BIGINT NOT NULL, l7 BIGINT NOT NULL,
    l8 BIGINT NOT NULL, l9 BIGINT NOT NULL, l10 BIGINT NOT NULL, l11 BIGINT NOT NULL,
    l12 BIGINT NOT NULL, l13 BIGINT NOT NULL, l14 BIGINT NOT NULL, l15 BIGINT NOT NULL,
    l16 BIGINT NOT NULL, l17 BIGINT NOT NULL, l18 BIGINT NOT NULL, l19 BIGINT NOT NULL,
    l20 BIGINT NOT NULL, l21 BIGINT NOT NULL, l22 BIGINT NOT NULL, l23 BIGINT NOT NULL,
    l24 BIGINT NOT NULL, l25 BIGINT NOT NULL, l26 BIGINT NOT NULL, l27 BIGINT NOT NULL,
    l28 BIGINT NOT NULL, l29 BIGINT NOT NULL, l30 BIGINT NOT NULL, l31 BIGINT NOT NULL,
    l32 BIGINT NOT NULL, l33 BIGINT NOT NULL, l34 BIGINT NOT NULL, l35 BIGINT NOT NULL,
    l36 BIGINT NOT NULL, l37 BIGINT NOT NULL, l38 BIGINT NOT NULL, l39 BIGINT NOT NULL,
    l40 BIGINT NOT NULL, l41 BIGINT NOT NULL, l42 BIGINT NOT NULL, l43 BIGINT NOT NULL,
    l44 BIGINT NOT NULL, l45 BIGINT NOT NULL, l46 BIGINT NOT NULL, l47 BIGINT NOT NULL,
    l48 BIGINT NOT NULL, l49 BIGINT NOT NULL, l50 BIGINT NOT NULL, l51 BIGINT NOT NULL,
    l52 BIGINT NOT NULL,
    PRIMARY KEY (hours, start, kind, key, source)
);
