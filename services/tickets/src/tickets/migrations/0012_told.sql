-- How the ticket stood after a change, as receivers are told: a repeat tells the same, whatever has become of it meanwhile.
ALTER TABLE audit ADD COLUMN stood jsonb;
CREATE FUNCTION act_told(of_act text)
    RETURNS TABLE (action text, note text, args_hash text, ticket_id text, at timestamptz, stood jsonb)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT action, note, args_hash, ticket_id, at, stood FROM tickets.audit WHERE act = of_act ORDER BY audit_id
$$;
REVOKE ALL ON FUNCTION act_told(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION act_told(text) TO tickets_app;
