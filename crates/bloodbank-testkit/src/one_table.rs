//! A store of an earlier version.

/// Makes the table of events of a store on PostgreSQL one without partitions, as it was in earlier
/// versions. It has only its first one.
pub const ONE_TABLE: &str = "DO $$
    DECLARE
        index regclass;
    BEGIN
        ALTER TABLE events DETACH PARTITION events_1_10000000;
        DROP TABLE events;
        ALTER TABLE events_1_10000000 RENAME TO events;
        FOR index IN SELECT indexrelid FROM pg_index WHERE indrelid = 'events'::regclass LOOP
            EXECUTE format('ALTER INDEX %s RENAME TO %I', index, regexp_replace(index::text, '_1$', ''));
        END LOOP;
        DROP FUNCTION candystore_partitions, candystore_known, candystore_make_room,
            candystore_drop_partition;
    END $$";
