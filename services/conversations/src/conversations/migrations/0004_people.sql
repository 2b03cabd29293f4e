-- A person speaks instead of the agent. Such a stretch stands in `runs`, with an epoch of its own, so that its lines have
-- their place among those of the runs. `stretch` names the one that goes on, empty while the agent speaks; `person` is
-- who has it, empty while nobody has come.
ALTER TABLE conversations
    ADD COLUMN stretch text NOT NULL DEFAULT '',
    ADD COLUMN person text NOT NULL DEFAULT '',
    ADD COLUMN handed_at timestamptz;
GRANT UPDATE (stretch, person, handed_at) ON conversations TO conversations_app;
CREATE INDEX conversations_with_people ON conversations (handed_at) WHERE stretch <> '';

ALTER TABLE entries DROP CONSTRAINT entries_kind_check;
ALTER TABLE entries ADD CONSTRAINT entries_kind_check CHECK (
    kind IN ('message', 'stop', 'answer', 'effect', 'late', 'note', 'person', 'owner', 'packet')) NOT VALID;

-- The conversations in which a person speaks or is waited for, those that wait longest first. The room asks on behalf of
-- a member of staff whose token it has checked; of the transcripts it is told why they were handed over, and no more.
CREATE POLICY packets ON entries FOR SELECT TO conversations_owner
    USING (session_user = 'conversations_app' AND kind = 'packet');
CREATE FUNCTION with_people(most integer)
    RETURNS TABLE (conversation_id text, user_id text, person text, handed_at timestamptz, reason text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT c.conversation_id, c.user_id, c.person, c.handed_at, coalesce(e.body ->> 'reason', '')
    FROM conversations.conversations c
    LEFT JOIN conversations.entries e ON e.conversation_id = c.conversation_id AND e.key = c.stretch || '/packet'
    WHERE c.stretch <> ''
    ORDER BY c.person <> '', c.handed_at, c.conversation_id
    LIMIT most
$$;

REVOKE ALL ON FUNCTION with_people(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION with_people(integer) TO conversations_app;
