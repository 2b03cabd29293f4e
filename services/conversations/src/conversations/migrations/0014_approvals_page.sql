-- Approvals, a page of them: those that wait for a decision, what expires first at the top, or those that do not, the latest first.
-- `after_*` is where the page before ended. As `approvals_listed`, in the order of an index.
CREATE FUNCTION approvals_page(decided boolean, after_at timestamptz, after_id text, most integer)
    RETURNS TABLE (approval_id text, status text, tool text, user_id text, conversation_id text, needs_role text,
                   why text, asked_at timestamptz, expires_at timestamptz)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
    IF decided THEN
        RETURN QUERY
            SELECT a.approval_id, CASE a.status WHEN 'pending' THEN 'expired' ELSE a.status END, a.tool, a.user_id,
                   a.conversation_id, a.needs_role, a.why, a.asked_at, a.expires_at
            FROM conversations.approvals a
            WHERE (a.status <> 'pending' OR a.expires_at <= now())
              AND a.asked_at <= coalesce(after_at, 'infinity')
              AND (after_id = '' OR (a.asked_at, a.approval_id) < (after_at, after_id))
            ORDER BY a.asked_at DESC, a.approval_id DESC LIMIT most;
    ELSE
        RETURN QUERY
            SELECT a.approval_id, a.status, a.tool, a.user_id, a.conversation_id, a.needs_role, a.why, a.asked_at, a.expires_at
            FROM conversations.approvals a
            WHERE a.status = 'pending' AND a.expires_at > now()
              AND (after_id = '' OR (a.expires_at, a.approval_id) > (after_at, after_id))
            ORDER BY a.expires_at, a.approval_id LIMIT most;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION approvals_page(boolean, timestamptz, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION approvals_page(boolean, timestamptz, text, integer) TO conversations_app;
