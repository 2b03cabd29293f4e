-- Who did what, over all tickets, the newest first: for a member of staff, whose token and role the room has checked.
CREATE INDEX audit_by_age ON audit (at, audit_id);
CREATE FUNCTION audited(
    by_whom text, of_ticket text, since timestamptz, until timestamptz, before timestamptz, before_key text, most integer
)
    RETURNS TABLE (at timestamptz, key text, who text, action text, ticket_id text, note text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.at, 'ticket/' || lpad(a.audit_id::text, 19, '0'),
           CASE WHEN a.acting = 'switchboard' THEN '' ELSE a.who END, a.action, a.ticket_id, left(a.note, 500)
    FROM tickets.audit a
    WHERE tickets.desk() LIKE 'staff/%'
      AND (by_whom = '' OR (a.who = by_whom AND a.acting IS DISTINCT FROM 'switchboard'))
      AND (of_ticket = '' OR a.ticket_id = of_ticket)
      AND a.at >= coalesce(since, '-infinity') AND a.at < coalesce(until, 'infinity') AND a.at <= coalesce(before, 'infinity')
      AND (before IS NULL OR a.at < before OR 'ticket/' || lpad(a.audit_id::text, 19, '0') < before_key COLLATE "C")
    ORDER BY a.at DESC, a.audit_id DESC
    LIMIT most
$$;
REVOKE ALL ON FUNCTION audited(text, text, timestamptz, timestamptz, timestamptz, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION audited(text, text, timestamptz, timestamptz, timestamptz, text, integer) TO tickets_app;
