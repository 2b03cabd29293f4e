-- For the metrics: how many conversations a person has or is waited for, how many approvals stand where, and since when the
-- oldest waits. No text, and no name.
CREATE FUNCTION people_counts()
    RETURNS TABLE (state text, conversations bigint, oldest double precision)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN c.person = '' THEN 'waiting' ELSE 'taken' END, count(*),
           extract(epoch FROM now() - min(c.handed_at))::double precision
    FROM conversations.conversations c WHERE c.stretch <> '' GROUP BY 1
$$;

CREATE FUNCTION approval_counts()
    RETURNS TABLE (status text, approvals bigint, oldest double precision)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT CASE WHEN a.status = 'pending' AND a.expires_at <= now() THEN 'expired' ELSE a.status END, count(*),
           extract(epoch FROM now() - min(a.asked_at))::double precision
    FROM conversations.approvals a GROUP BY 1
$$;

REVOKE ALL ON FUNCTION people_counts(), approval_counts() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION people_counts(), approval_counts() TO conversations_app;
