-- For the desk: what has changed, and in which transaction it did so last. Kinds and ids, nothing of what was said. A number that
-- counts up would miss some: transactions do not end in the order in which they take their numbers. So whoever asks names the
-- snapshot in which they saw everything, and is told what that snapshot did not see.
CREATE TABLE changes (
    kind       text NOT NULL CHECK (kind IN ('conversation', 'wait', 'approval')),
    id         text NOT NULL,
    entries    bigint NOT NULL,
    events     bigint NOT NULL,
    changed_in xid8 NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX changes_of_transactions ON changes (changed_in);
CREATE INDEX changes_by_age ON changes (at);

-- Nobody's rows: only the functions below, which are the owner's, read and write them.
ALTER TABLE changes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY kept ON changes TO conversations_owner USING (true) WITH CHECK (true);

CREATE FUNCTION note_change(of_kind text, of_id text, at_entry bigint, at_event bigint) RETURNS void
    LANGUAGE sql
    SET search_path = pg_catalog, pg_temp
AS $$
    INSERT INTO conversations.changes (kind, id, entries, events, changed_in, at)
    VALUES (of_kind, of_id, at_entry, at_event, pg_current_xact_id(), now())
    ON CONFLICT (kind, id) DO UPDATE
    SET entries = excluded.entries, events = excluded.events, changed_in = excluded.changed_in, at = excluded.at
$$;

CREATE FUNCTION note_conversation() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM conversations.note_change('conversation', OLD.conversation_id, NEW.next_entry - 1, NEW.next_event - 1);
    RETURN NULL;
END
$$;
CREATE FUNCTION note_wait() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM conversations.note_change('wait', OLD.conversation_id, 0, 0);
    RETURN NULL;
END
$$;
CREATE FUNCTION note_approval() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM conversations.note_change('approval', coalesce(NEW.approval_id, OLD.approval_id), 0, 0);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION note_change(text, text, bigint, bigint), note_conversation(), note_wait(), note_approval() FROM PUBLIC;

CREATE TRIGGER note_conversation AFTER UPDATE ON conversations FOR EACH ROW
    WHEN (OLD.next_entry <> NEW.next_entry OR OLD.next_event <> NEW.next_event)
    EXECUTE FUNCTION note_conversation();
CREATE TRIGGER note_wait AFTER UPDATE ON conversations FOR EACH ROW
    WHEN (OLD.stretch <> NEW.stretch OR OLD.person <> NEW.person)
    EXECUTE FUNCTION note_wait();
CREATE TRIGGER note_end_of_wait AFTER DELETE ON conversations FOR EACH ROW
    WHEN (OLD.stretch <> '')
    EXECUTE FUNCTION note_wait();
CREATE TRIGGER note_approval AFTER INSERT OR UPDATE OR DELETE ON approvals FOR EACH ROW EXECUTE FUNCTION note_approval();

-- At most so many of those that the snapshot did not see. Numbers of transactions that are still to come are of another
-- server, from which this database was copied.
CREATE FUNCTION changed_since(seen pg_snapshot, most integer)
    RETURNS TABLE (kind text, id text, entries bigint, events bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.kind, c.id, c.entries, c.events FROM conversations.changes c
    WHERE c.changed_in >= pg_snapshot_xmin(seen) AND c.changed_in < pg_snapshot_xmax(pg_current_snapshot())
      AND NOT pg_visible_in_snapshot(c.changed_in, seen)
    LIMIT most
$$;

-- Forgets at most so many that are older. Returns how many.
CREATE FUNCTION forget_changes(older timestamptz, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    forgotten integer;
BEGIN
    DELETE FROM conversations.changes c WHERE c.ctid = ANY (ARRAY(
        SELECT old.ctid FROM conversations.changes old WHERE old.at < older ORDER BY old.at LIMIT most));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;

REVOKE ALL ON FUNCTION changed_since(pg_snapshot, integer), forget_changes(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION changed_since(pg_snapshot, integer), forget_changes(timestamptz, integer) TO conversations_app;
