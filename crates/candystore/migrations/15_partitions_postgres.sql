-- The table of events becomes the first partition of one of the same name. Its rows stay where they are.
DO $migration$
DECLARE
    owner name := (SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'events'::regclass);
    rights aclitem[] := (SELECT relacl FROM pg_class WHERE oid = 'events'::regclass);
    last bigint := (SELECT (position / width + 1) * width FROM head);
    part text := format('events_1_%s', last);
    indexes text[] := '{}';
    index record;
    statement text;
BEGIN
    -- The same indexes for all partitions, those on fields of the payload too; but none can be unique over
    -- all of them without the position.
    FOR index IN
        SELECT relname, pg_get_indexdef(oid) AS made, indisunique
        FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = 'events'::regclass
    LOOP
        EXECUTE format('ALTER INDEX %I RENAME TO %I', index.relname, index.relname || '_1');
        IF NOT index.indisunique THEN
            indexes := indexes || index.made;
        END IF;
    END LOOP;
    EXECUTE format('ALTER TABLE events RENAME TO %I', part);
    EXECUTE format(
        'CREATE TABLE events (LIKE %I INCLUDING DEFAULTS INCLUDING STORAGE, PRIMARY KEY (position))
         PARTITION BY RANGE (position)', part);
    FOREACH statement IN ARRAY indexes LOOP
        EXECUTE statement;
    END LOOP;
    FOR statement IN
        SELECT format('GRANT %s ON events TO %s', privilege_type,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
        FROM aclexplode(rights)
    LOOP
        EXECUTE statement;
    END LOOP;
    EXECUTE format('ALTER TABLE events OWNER TO %I', owner);
    EXECUTE format(
        'ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (1) TO (%s)', part, last + 1);
    UPDATE head SET room = last;

    -- What two of these functions change, only the owner of the tables may change: they work with its rights, and
    -- ask whether their caller may do the same with rows.
    EXECUTE format($made$
        CREATE OR REPLACE FUNCTION candystore_partitions(
            OUT part regclass, OUT first bigint, OUT last bigint
        ) RETURNS SETOF record
        LANGUAGE sql STABLE SET search_path = %1$I, pg_temp AS $f$
            SELECT inhrelid::regclass, bounds[1]::bigint, bounds[2]::bigint - 1
            FROM pg_inherits JOIN pg_class ON oid = inhrelid,
                regexp_match(pg_get_expr(relpartbound, oid), $r$^FOR VALUES FROM \('(\d+)'\) TO \('(\d+)'\)$r$)
                    AS bounds
            WHERE inhparent = 'events'::regclass AND bounds IS NOT NULL
            ORDER BY 2
        $f$;

        -- Which ids are stored, and where. To plan this for all partitions takes much longer than to do it,
        -- so that its plan is kept, which is always the index of each.
        CREATE OR REPLACE FUNCTION candystore_known(ids uuid[]) RETURNS TABLE (id uuid, "position" bigint)
        LANGUAGE plpgsql STABLE SET search_path = %1$I, pg_temp
        SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off AS $f$
        BEGIN
            RETURN QUERY SELECT events.id, events.position FROM events WHERE events.id = ANY(ids);
        END
        $f$;

        -- To plan a question takes longer with each partition: a new one has at least a tenth of the
        -- positions of all others.
        CREATE OR REPLACE FUNCTION candystore_make_room(wanted bigint) RETURNS bigint
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %1$I, pg_temp AS $f$
        DECLARE
            until bigint;
            least bigint;
            wide bigint;
            part text;
        BEGIN
            IF NOT has_table_privilege(session_user, 'events', 'INSERT') THEN
                RAISE insufficient_privilege USING MESSAGE = 'permission denied for table events';
            END IF;
            SELECT room, width INTO until, least FROM head;
            WHILE until < wanted LOOP
                SELECT greatest(1, (until - min(first) + 1) / 10 / least) * least INTO wide
                    FROM candystore_partitions();
                wide := coalesce(wide, least);
                part := format('events_%%s_%%s', until + 1, until + wide);
                EXECUTE format(
                    'CREATE TABLE %%I (LIKE events INCLUDING DEFAULTS INCLUDING STORAGE)', part);
                EXECUTE format('CREATE UNIQUE INDEX %%I ON %%I (id)', part || '_by_id', part);
                EXECUTE format('ALTER TABLE events ATTACH PARTITION %%I FOR VALUES FROM (%%s) TO (%%s)',
                    part, until + 1, until + wide + 1);
                until := until + wide;
            END LOOP;
            UPDATE head SET room = until;
            RETURN until;
        END
        $f$;

        -- Who reads for long is waited for no longer than others can wait, who come behind.
        CREATE OR REPLACE FUNCTION candystore_drop_partition(from_position bigint, to_position bigint)
        RETURNS void
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = %1$I, pg_temp SET lock_timeout = '500ms' AS $f$
        DECLARE
            old regclass;
        BEGIN
            IF NOT has_table_privilege(session_user, 'events', 'DELETE') THEN
                RAISE insufficient_privilege USING MESSAGE = 'permission denied for table events';
            END IF;
            SELECT part INTO STRICT old FROM candystore_partitions()
                WHERE first = from_position AND last = to_position;
            EXECUTE format('DROP TABLE %%s', old);
        END
        $f$ $made$, current_schema());
END
$migration$;
