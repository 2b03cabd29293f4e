-- The agent's runs of all conversations together: how much each did, as it reported it, and who of the staff stopped one,
-- why, and under which id of theirs.
ALTER TABLE runs
    ADD COLUMN turns integer,
    ADD COLUMN prompt_tokens bigint,
    ADD COLUMN completion_tokens bigint,
    ADD COLUMN stop_id text NOT NULL DEFAULT '',
    ADD COLUMN stopped_by text NOT NULL DEFAULT '',
    ADD COLUMN stopped_why text NOT NULL DEFAULT '',
    ADD COLUMN stopped_at timestamptz;
GRANT UPDATE (turns, prompt_tokens, completion_tokens, stop_id, stopped_by, stopped_why, stopped_at) ON runs TO conversations_app;

-- Where the table is large, the first four may be built before, CONCURRENTLY, under these names.
CREATE INDEX IF NOT EXISTS runs_by_age ON runs (begun_at, run);
CREATE INDEX IF NOT EXISTS runs_at_work ON runs (begun_at, run) WHERE state <> 'ended';
CREATE INDEX IF NOT EXISTS runs_failed ON runs (begun_at, run)
    WHERE outcome NOT IN ('answered', 'stopped', 'handed_over', 'person');
CREATE INDEX IF NOT EXISTS runs_of_user ON runs (user_id, begun_at, run);
CREATE INDEX runs_stopped ON runs (stopped_at) WHERE stopped_by <> '';

-- For a member of staff, whose token and role the room has checked.
CREATE POLICY staff ON runs FOR SELECT TO conversations_owner USING (session_user = 'conversations_app');

-- A stretch of a person stands in `runs` too, and is no run of the agent. The query is planned for what is asked, so that
-- each kind has an index.
CREATE FUNCTION runs_listed(of_kind text, of_user text, before timestamptz, before_run text, most integer)
    RETURNS TABLE (conversation_id text, user_id text, run text, state text, outcome text, begun_at timestamptz,
                   seconds double precision, turns integer, prompt_tokens bigint, completion_tokens bigint,
                   invocation text, trace_id text, stopped_by text, stopped_why text)
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY EXECUTE $listed$
        SELECT r.conversation_id, r.user_id, r.run,
               CASE WHEN r.state = 'active' THEN 'running'
                    WHEN r.state = 'stopped' THEN 'stopping'
                    WHEN r.outcome NOT IN ('answered', 'stopped', 'handed_over') THEN 'failed'
                    ELSE 'ended' END,
               coalesce(r.outcome, ''), r.begun_at,
               extract(epoch FROM coalesce(r.ended_at, now()) - r.begun_at)::double precision,
               r.turns, r.prompt_tokens, r.completion_tokens, r.invocation, r.trace_id, r.stopped_by, r.stopped_why
        FROM conversations.runs r
        WHERE ($1 <> 'running' OR r.state <> 'ended')
          AND ($1 <> 'failed' OR r.outcome NOT IN ('answered', 'stopped', 'handed_over', 'person'))
          AND ($2 = '' OR r.user_id = $2)
          AND (r.begun_at, r.run) < (coalesce($3, 'infinity'), $4)
          AND r.outcome IS DISTINCT FROM 'person'
          AND NOT EXISTS (SELECT FROM conversations.conversations c
                          WHERE c.conversation_id = r.conversation_id AND c.stretch = r.run)
        ORDER BY r.begun_at DESC, r.run DESC
        LIMIT $5
    $listed$ USING of_kind, of_user, before, before_run, most;
END
$$;

-- Who stopped runs, the newest first, in the form of the other audits.
CREATE FUNCTION stops_audited(
    by_whom text, of_subject text, since timestamptz, until timestamptz, before timestamptz, before_key text, most integer
)
    RETURNS TABLE (at timestamptz, key text, kind text, who text, action text, subject text, about text, note text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT r.stopped_at, 'stop/' || r.run COLLATE "C" AS key, 'conversation', r.stopped_by, 'stop', r.conversation_id,
           r.user_id, r.stopped_why
    FROM conversations.runs r
    WHERE r.stopped_by <> ''
      AND (by_whom = '' OR r.stopped_by = by_whom) AND (of_subject = '' OR r.conversation_id = of_subject)
      AND r.stopped_at >= coalesce(since, '-infinity') AND r.stopped_at < coalesce(until, 'infinity')
      AND r.stopped_at <= coalesce(before, 'infinity')
      AND (before IS NULL OR r.stopped_at < before OR 'stop/' || r.run < before_key COLLATE "C")
    ORDER BY r.stopped_at DESC, key DESC
    LIMIT most
$$;

REVOKE ALL ON FUNCTION
    runs_listed(text, text, timestamptz, text, integer),
    stops_audited(text, text, timestamptz, timestamptz, timestamptz, text, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    runs_listed(text, text, timestamptz, text, integer),
    stops_audited(text, text, timestamptz, timestamptz, timestamptz, text, integer) TO conversations_app;

-- The desk is told in which conversations a run began, was stopped or is over.
ALTER TABLE changes DROP CONSTRAINT changes_kind_check;
ALTER TABLE changes ADD CONSTRAINT changes_kind_check CHECK (kind IN ('conversation', 'wait', 'approval', 'run')) NOT VALID;

CREATE FUNCTION note_run() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM conversations.note_change('run', coalesce(NEW.conversation_id, OLD.conversation_id), 0, 0);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION note_run() FROM PUBLIC;
CREATE TRIGGER note_begin_of_run AFTER INSERT OR DELETE ON runs FOR EACH ROW EXECUTE FUNCTION note_run();
CREATE TRIGGER note_run AFTER UPDATE ON runs FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION note_run();
