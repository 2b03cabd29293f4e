-- For whoever watches: one question for all conversations that a process watches, each read as its own customer.

-- What the owner may do on behalf of the room, in the functions below and nowhere else: look for news, and forget.
CREATE POLICY news ON conversations FOR SELECT TO conversations_owner USING (session_user = 'conversations_app');
CREATE POLICY kept ON events TO conversations_owner USING (session_user = 'conversations_app') WITH CHECK (false);
CREATE POLICY kept ON live TO conversations_owner USING (session_user = 'conversations_app') WITH CHECK (false);

-- Which of these conversations, by their places in the list, have events after a position or live text of another
-- time, or are there no more. It tells nothing else of them.
CREATE FUNCTION with_news(of_conversations text[], after bigint[], shown timestamptz[]) RETURNS SETOF integer
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT asked.place::integer
    FROM unnest(of_conversations, after, shown) WITH ORDINALITY AS asked (conversation, after, shown, place)
    LEFT JOIN conversations.conversations c ON c.conversation_id = asked.conversation
    WHERE c.conversation_id IS NULL
       OR c.next_event > asked.after + 1
       OR (c.run <> '' AND (SELECT max(l.at) FROM conversations.live l WHERE l.run = c.run) IS DISTINCT FROM asked.shown)
    ORDER BY asked.place
$$;

-- What is new: events after a position, in order and at most so many of each, then the text that is being written
-- (`kind` is `text`, its `body` NULL when that turn has been decided); `gone` instead where the customer has no such
-- conversation. All of one moment.
CREATE FUNCTION watched(of_conversations text[], users text[], after bigint[], shown timestamptz[], most integer)
    RETURNS TABLE (place integer, "position" bigint, kind text, run text, epoch bigint, turn integer, attempt bigint,
                   at timestamptz, age double precision, body text)
    LANGUAGE plpgsql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
    here integer;
BEGIN
    FOR here IN SELECT n FROM conversations.with_news(of_conversations, after, shown) AS n LOOP
        PERFORM set_config('app.user_id', users[here], true);
        RETURN QUERY
            SELECT here, 0::bigint, 'gone', ''::text, 0::bigint, 0, 0::bigint, now(), 0::double precision, ''::text
            WHERE NOT EXISTS (SELECT FROM conversations.conversations c WHERE c.conversation_id = of_conversations[here]);
        RETURN QUERY
            SELECT here, e.position, e.kind, e.run, e.epoch, 0, 0::bigint, e.at,
                   extract(epoch FROM clock_timestamp() - e.at)::double precision, e.body::text
            FROM conversations.events e
            WHERE e.conversation_id = of_conversations[here] AND e.position > after[here]
            ORDER BY e.position LIMIT most;
        RETURN QUERY
            SELECT here, c.next_event - 1, 'text', l.run, c.epoch, l.turn, l.attempt,
                   (SELECT max(each.at) FROM conversations.live each WHERE each.run = c.run),
                   extract(epoch FROM clock_timestamp() - l.at)::double precision,
                   CASE WHEN EXISTS (SELECT FROM conversations.events e WHERE e.conversation_id = c.conversation_id
                                     AND e.key = l.run || '/turn/' || l.turn) THEN NULL ELSE l.text END
            FROM conversations.conversations c JOIN conversations.live l ON l.run = c.run
            WHERE c.conversation_id = of_conversations[here] AND c.run <> ''
            ORDER BY l.turn DESC LIMIT 1;
    END LOOP;
    PERFORM set_config('app.user_id', '', true);
END
$$;

-- Forgets at most so many events that are older, and live text of runs that nobody settled. Returns how many.
CREATE FUNCTION forget_events(older timestamptz, most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    forgotten integer;
BEGIN
    DELETE FROM conversations.live l WHERE l.at < older;
    DELETE FROM conversations.events e WHERE e.ctid = ANY (ARRAY(
        SELECT old.ctid FROM conversations.events old WHERE old.at < older ORDER BY old.at LIMIT most));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END
$$;

REVOKE ALL ON FUNCTION forget_events(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_events(timestamptz, integer) TO conversations_app;

REVOKE ALL ON FUNCTION with_news(text[], bigint[], timestamptz[]), watched(text[], text[], bigint[], timestamptz[], integer)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION with_news(text[], bigint[], timestamptz[]),
    watched(text[], text[], bigint[], timestamptz[], integer) TO conversations_app;
