-- On PostgreSQL the table of events has partitions by position (15_partitions_postgres.sql), so that old
-- events go with their partition. A SQLite file has one table, with room for all.
ALTER TABLE head ADD COLUMN room BIGINT NOT NULL DEFAULT 9223372036854775807; -- the last position that has a partition
ALTER TABLE head ADD COLUMN width BIGINT NOT NULL DEFAULT 10000000; -- how many positions a new partition has
