-- For the staff's search: what was said in conversations, line by line. No role may read it; the functions below do, for a member
-- of staff whose token the room has checked. It goes with its conversation.
CREATE TABLE words (
    conversation_id text NOT NULL REFERENCES conversations (conversation_id) ON DELETE CASCADE,
    position        bigint NOT NULL,
    words           tsvector NOT NULL,
    PRIMARY KEY (conversation_id, position)
);
CREATE INDEX words_found ON words USING gin (words);

CREATE FUNCTION keep_words() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO conversations.words
    VALUES (NEW.conversation_id, NEW.position, to_tsvector('simple', coalesce(NEW.body ->> 'text', '')));
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION keep_words() FROM PUBLIC;
CREATE TRIGGER keep_words AFTER INSERT ON entries FOR EACH ROW WHEN (NEW.kind IN ('message', 'answer', 'person'))
    EXECUTE FUNCTION keep_words();

-- Of what was found, the line itself; and for the next migration, which reads what was said before this one.
CREATE POLICY spoken ON entries FOR SELECT TO conversations_owner
    USING (session_user = 'conversations_app' AND kind IN ('message', 'answer', 'person'));
CREATE POLICY said_before ON entries FOR SELECT TO conversations_owner USING (session_user = current_user);

-- The conversations in which a person speaks or is waited for, or with `wanted` all in which these words were said, and in which
-- line last: those first whose customer is told soonest that nobody came. What is not due comes after it, the newest first.
-- `after_*` is where the page before ended.
CREATE FUNCTION standing(
    by_whom text, of_staff text, of_customer text, wanted text, patience interval, is_overdue boolean,
    after_risk timestamptz, after_place bigint, after_id text, most integer
)
    RETURNS TABLE (conversation_id text, user_id text, speaks text, person text, since timestamptz, reason text, found text,
                   risk_at timestamptz, place bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH hits AS MATERIALIZED (
        SELECT w.conversation_id, max(w.position) AS line FROM conversations.words w
        WHERE wanted <> '' AND w.words @@ websearch_to_tsquery('simple', wanted) GROUP BY w.conversation_id
    ), chosen AS (
        SELECT c.*, NULL::bigint AS line FROM conversations.conversations c WHERE wanted = '' AND c.stretch <> ''
        UNION ALL
        SELECT c.*, h.line FROM hits h JOIN conversations.conversations c ON c.conversation_id = h.conversation_id
        UNION ALL
        SELECT c.*, NULL FROM conversations.conversations c
        WHERE c.conversation_id = wanted AND NOT EXISTS (SELECT FROM hits h WHERE h.conversation_id = wanted)
    ), told AS (
        SELECT s.*, coalesce(s.handed_at, s.changed_at) AS since,
               CASE WHEN s.stretch <> '' AND s.person = '' THEN s.handed_at + patience ELSE 'infinity' END AS risk_at
        FROM chosen s
        WHERE (of_customer = '' OR s.user_id = of_customer)
          AND (by_whom = 'all' OR (by_whom = 'nobody' AND s.stretch <> '' AND s.person = '')
               OR (by_whom = 'mine' AND s.person = of_staff))
    ), placed AS (
        SELECT t.*,
               CASE WHEN t.risk_at = 'infinity' THEN -(extract(epoch FROM t.since) * 1000000)::bigint ELSE 0 END AS place
        FROM told t WHERE NOT is_overdue OR t.risk_at < now()
    ), page AS (
        SELECT p.* FROM placed p
        WHERE after_id = '' OR (p.risk_at, p.place, p.conversation_id) > (after_risk, after_place, after_id)
        ORDER BY p.risk_at, p.place, p.conversation_id LIMIT most
    )
    SELECT p.conversation_id, p.user_id, CASE WHEN p.stretch = '' THEN 'agent' ELSE 'person' END, p.person, p.since,
           coalesce(packet.body ->> 'reason', ''),
           coalesce(ts_headline('simple', said.body ->> 'text', websearch_to_tsquery('simple', wanted),
                                'StartSel="", StopSel="", MaxWords=24, MinWords=12'), ''),
           p.risk_at, p.place
    FROM page p
    LEFT JOIN conversations.entries packet
        ON packet.conversation_id = p.conversation_id AND packet.key = p.stretch || '/packet' AND packet.kind = 'packet'
    LEFT JOIN conversations.entries said ON said.conversation_id = p.conversation_id AND said.position = p.line
    ORDER BY p.risk_at, p.place, p.conversation_id
$$;

CREATE FUNCTION standing_counts(of_staff text, patience interval)
    RETURNS TABLE (waiting bigint, taken bigint, mine bigint, overdue bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT count(*) FILTER (WHERE c.person = ''), count(*) FILTER (WHERE c.person <> ''),
           count(*) FILTER (WHERE c.person = of_staff), count(*) FILTER (WHERE c.person = '' AND c.handed_at + patience < now())
    FROM conversations.conversations c WHERE c.stretch <> ''
$$;

REVOKE ALL ON FUNCTION
    standing(text, text, text, text, interval, boolean, timestamptz, bigint, text, integer),
    standing_counts(text, interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    standing(text, text, text, text, interval, boolean, timestamptz, bigint, text, integer),
    standing_counts(text, interval) TO conversations_app;
