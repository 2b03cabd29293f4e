-- How many tickets stand where, for the metrics: counts over all customers, and nothing but counts. The services see one
-- caller's tickets alone, so this runs as the owner, whom row-level security holds too: its policy opens only in here,
-- where tickets_app has logged in and the owner's rights are lent. The owner itself still sees nothing.
CREATE POLICY counts ON tickets FOR SELECT TO tickets_owner USING (session_user = 'tickets_app');

CREATE FUNCTION ticket_counts() RETURNS TABLE (state text, priority text, tickets bigint, past_sla bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT status, priority, count(*), count(*) FILTER (WHERE status <> 'closed' AND sla_due_at < now())
    FROM tickets.tickets
    GROUP BY status, priority
$$;

REVOKE ALL ON FUNCTION ticket_counts() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ticket_counts() TO tickets_app;

-- Counting reads this index alone, not the tickets with their texts.
CREATE INDEX tickets_standing ON tickets (status, priority, sla_due_at);
