-- Up to here events are counted in the figures. Those behind it, which are few, are counted when somebody
-- asks.
ALTER TABLE head ADD COLUMN counted BIGINT NOT NULL DEFAULT 0;
UPDATE head SET counted = position;
