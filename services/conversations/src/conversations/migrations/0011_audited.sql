-- Who did what to approvals and in conversations, the newest first: for a member of staff, whose token and role the room has
-- checked. Of the transcripts it is told who had the word, and no more; what was erased is not in it.
CREATE INDEX approval_audit_by_age ON approval_audit (at);
CREATE INDEX entries_of_owners ON entries (at) WHERE kind = 'owner';
CREATE POLICY audited ON approval_audit FOR SELECT TO conversations_owner USING (session_user = 'conversations_app');
CREATE POLICY owners ON entries FOR SELECT TO conversations_owner
    USING (session_user = 'conversations_app' AND kind = 'owner');

CREATE FUNCTION approvals_audited(
    by_whom text, of_subject text, since timestamptz, until timestamptz, before timestamptz, before_key text, most integer
)
    RETURNS TABLE (at timestamptz, key text, kind text, who text, action text, subject text, about text, note text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.at, 'approval/' || a.approval_id || '/' || a.what COLLATE "C" AS key, 'approval', a.by, a.what,
           a.approval_id, a.tool, left(a.why, 500)
    FROM conversations.approval_audit a
    WHERE (by_whom = '' OR a.by = by_whom) AND (of_subject = '' OR of_subject IN (a.approval_id, a.tool))
      AND a.at >= coalesce(since, '-infinity') AND a.at < coalesce(until, 'infinity') AND a.at <= coalesce(before, 'infinity')
      AND (before IS NULL OR a.at < before OR 'approval/' || a.approval_id || '/' || a.what < before_key COLLATE "C")
    ORDER BY a.at DESC, key DESC
    LIMIT most
$$;

CREATE FUNCTION owners_audited(
    by_whom text, of_subject text, since timestamptz, until timestamptz, before timestamptz, before_key text, most integer
)
    RETURNS TABLE (at timestamptz, key text, kind text, who text, action text, subject text, about text, note text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT e.at, 'owner/' || e.conversation_id || '/' || lpad(e.position::text, 12, '0') COLLATE "C" AS key,
           'conversation', coalesce(e.body ->> 'by', ''),
           CASE WHEN e.body ->> 'speaker' = 'agent' THEN 'return'
                WHEN coalesce(e.body ->> 'person', '') = '' THEN 'hand_over'
                WHEN e.body ->> 'person' = e.body ->> 'by' THEN 'take'
                ELSE 'assign' END,
           e.conversation_id, e.user_id, coalesce(e.body ->> 'person', '')
    FROM conversations.entries e
    WHERE e.kind = 'owner'
      AND (by_whom = '' OR e.body ->> 'by' = by_whom) AND (of_subject = '' OR e.conversation_id = of_subject)
      AND e.at >= coalesce(since, '-infinity') AND e.at < coalesce(until, 'infinity') AND e.at <= coalesce(before, 'infinity')
      AND (before IS NULL OR e.at < before
           OR 'owner/' || e.conversation_id || '/' || lpad(e.position::text, 12, '0') < before_key COLLATE "C")
    ORDER BY e.at DESC, key DESC
    LIMIT most
$$;

REVOKE ALL ON FUNCTION
    approvals_audited(text, text, timestamptz, timestamptz, timestamptz, text, integer),
    owners_audited(text, text, timestamptz, timestamptz, timestamptz, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    approvals_audited(text, text, timestamptz, timestamptz, timestamptz, text, integer),
    owners_audited(text, text, timestamptz, timestamptz, timestamptz, text, integer) TO conversations_app;
