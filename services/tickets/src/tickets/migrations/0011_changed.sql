-- For the desk: in which transaction an act was done. Transactions do not end in the order of their numbers, so whoever asks
-- names the snapshot in which they saw everything, and is told of what that snapshot did not see. What was done before has none.
ALTER TABLE audit ADD COLUMN done_in xid8;
ALTER TABLE audit ALTER COLUMN done_in SET DEFAULT pg_current_xact_id();
CREATE INDEX audit_of_transactions ON audit (done_in) WHERE done_in IS NOT NULL;

-- At most so many of the tickets that have changed since, for the desk alone. Numbers of transactions that are still to come are
-- of another server, from which this database was copied.
CREATE FUNCTION tickets_changed(seen pg_snapshot, most integer) RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT a.ticket_id FROM tickets.audit a
    WHERE tickets.desk() IS NOT NULL AND a.done_in >= pg_snapshot_xmin(seen)
      AND a.done_in < pg_snapshot_xmax(pg_current_snapshot()) AND NOT pg_visible_in_snapshot(a.done_in, seen)
    LIMIT most
$$;
REVOKE ALL ON FUNCTION tickets_changed(pg_snapshot, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tickets_changed(pg_snapshot, integer) TO tickets_app;
