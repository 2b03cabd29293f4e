-- The priority whose due times hold, where that is another than its own: what escalates is more urgent, and promised as before.
ALTER TABLE tickets ADD COLUMN promised text CHECK (promised IN ('low', 'normal', 'high', 'urgent'));
GRANT UPDATE (promised) ON tickets TO tickets_app;

-- What was late before tickets had a life is not told as if it were late now.
ALTER TABLE tickets NO FORCE ROW LEVEL SECURITY;
UPDATE tickets SET solve_escalated_at = now(), solve_reminded_at = now()
WHERE next_look_at IS NULL AND state <> 'closed' AND solve_due_at < now();
ALTER TABLE tickets FORCE ROW LEVEL SECURITY;

-- Of each state how many there are, and how many of them are past a due time; as `ticket_counts`, of which it knows more.
CREATE FUNCTION ticket_states() RETURNS TABLE (state text, tickets bigint, late bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT state, count(*), count(*) FILTER (WHERE risk_at < now()) FROM tickets.tickets GROUP BY state
$$;
-- How long the switchboard has not looked at what was due.
CREATE FUNCTION overlooked_seconds() RETURNS double precision
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT coalesce(greatest(0, extract(epoch FROM now() - min(next_look_at)))::float8, 0)
    FROM tickets.tickets WHERE state <> 'closed'
$$;
REVOKE ALL ON FUNCTION ticket_states(), overlooked_seconds() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ticket_states(), overlooked_seconds() TO tickets_app;
