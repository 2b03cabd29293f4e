-- What was said, in order. Positions are taken from the conversation's row in the transaction that uses them, so the
-- order of positions is the order of commits. `run` is the active run, empty if there is none: who is not named here
-- reads and posts nothing.
CREATE TABLE conversations (
    conversation_id text PRIMARY KEY CHECK (conversation_id ~ '^conv_[A-Za-z0-9]{16,64}$'),
    user_id         text NOT NULL CHECK (user_id <> ''),
    run             text NOT NULL DEFAULT '',
    epoch           bigint NOT NULL DEFAULT 0,
    next_entry      bigint NOT NULL DEFAULT 1,
    next_event      bigint NOT NULL DEFAULT 1,
    opened_at       timestamptz NOT NULL DEFAULT now(),
    changed_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (conversation_id, user_id)
);

CREATE INDEX conversations_of_user ON conversations (user_id, changed_at DESC);
CREATE INDEX conversations_by_age ON conversations (changed_at);

-- `state`: active, then stopped (it may finish what it does and post nothing) or ended. `superseded`: its question and
-- its text have left the model's view.
CREATE TABLE runs (
    run             text PRIMARY KEY CHECK (run <> ''),
    conversation_id text NOT NULL,
    user_id         text NOT NULL,
    epoch           bigint NOT NULL,
    state           text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'stopped', 'ended')),
    superseded      boolean NOT NULL DEFAULT false,
    outcome         text,
    invocation      text NOT NULL DEFAULT '',
    begun_at        timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz,
    UNIQUE (conversation_id, epoch),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (conversation_id, user_id) ON DELETE CASCADE
);

-- The transcript: append-only, nobody is granted UPDATE. `key` makes a repeat add nothing.
CREATE TABLE entries (
    conversation_id text NOT NULL,
    position        bigint NOT NULL,
    user_id         text NOT NULL,
    key             text NOT NULL CHECK (key <> ''),
    kind            text NOT NULL CHECK (kind IN ('message', 'stop', 'answer', 'effect', 'late', 'note')),
    run             text NOT NULL DEFAULT '',
    turn            integer NOT NULL DEFAULT 0,
    body            jsonb NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, position),
    UNIQUE (conversation_id, key),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (conversation_id, user_id) ON DELETE CASCADE
);

-- What came in, and what was answered; the text of a message is the entry at its position. `invocation` tells a repeat
-- of ours from the client's.
-- `state`: steered and queued wait; `run` and `turn` say who has read it.
CREATE TABLE inputs (
    conversation_id text NOT NULL,
    input_id        text NOT NULL,
    user_id         text NOT NULL,
    digest          text NOT NULL,
    invocation      text NOT NULL,
    position        bigint NOT NULL,
    state           text NOT NULL CHECK (state IN ('steered', 'queued', 'taken', 'rejected', 'done')),
    run             text NOT NULL DEFAULT '',
    turn            integer NOT NULL DEFAULT 0,
    answer          jsonb NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, input_id),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (conversation_id, user_id) ON DELETE CASCADE
);

CREATE INDEX inputs_waiting ON inputs (conversation_id, position) WHERE state IN ('steered', 'queued');
CREATE INDEX inputs_of_run ON inputs (conversation_id, run, turn) WHERE run <> '';

-- What happens, for whoever watches; kept for hours. Positions have no gaps.
CREATE TABLE events (
    conversation_id text NOT NULL,
    position        bigint NOT NULL,
    user_id         text NOT NULL,
    key             text NOT NULL CHECK (key <> ''),
    run             text NOT NULL DEFAULT '',
    epoch           bigint NOT NULL DEFAULT 0,
    kind            text NOT NULL,
    body            jsonb NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, position),
    UNIQUE (conversation_id, key),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (conversation_id, user_id) ON DELETE CASCADE
);

CREATE INDEX events_by_age ON events (at);

-- Text while it is written: state, not log; lost in a crash of PostgreSQL, and written anew.
CREATE UNLOGGED TABLE live (
    conversation_id text NOT NULL,
    run             text NOT NULL,
    turn            integer NOT NULL,
    attempt         bigint NOT NULL,
    user_id         text NOT NULL,
    text            text NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run, turn)
);

CREATE INDEX live_of_conversation ON live (conversation_id);

-- The older part of a conversation in prose; the originals stay in `entries`. `upto` is the last position in it.
CREATE TABLE summaries (
    conversation_id text NOT NULL,
    upto            bigint NOT NULL,
    user_id         text NOT NULL,
    text            text NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, upto),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (conversation_id, user_id) ON DELETE CASCADE
);

-- One caller a transaction; unset or empty means nobody. The published functions below run as the owner, whom
-- row-level security holds too: its policies open only where the router has logged in and the owner's rights are lent.
DO $$
DECLARE
    each text;
BEGIN
    FOREACH each IN ARRAY ARRAY['conversations', 'runs', 'entries', 'inputs', 'events', 'live', 'summaries'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', each);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', each);
        EXECUTE format(
            'CREATE POLICY caller ON %I TO conversations_app'
            ' USING (user_id = nullif(current_setting(''app.user_id'', true), ''''))'
            ' WITH CHECK (user_id = nullif(current_setting(''app.user_id'', true), ''''))', each);
        EXECUTE format(
            'CREATE POLICY published ON %I TO conversations_owner'
            ' USING (session_user = ''conversations_router'') WITH CHECK (session_user = ''conversations_router'')',
            each);
    END LOOP;
END
$$;

GRANT SELECT, INSERT, DELETE ON conversations, runs, entries, inputs, events, live, summaries TO conversations_app;
GRANT UPDATE (run, epoch, next_entry, next_event, changed_at) ON conversations TO conversations_app;
GRANT UPDATE (state, superseded, outcome, invocation, ended_at) ON runs TO conversations_app;
GRANT UPDATE (state, run, turn) ON inputs TO conversations_app;
GRANT UPDATE (attempt, text, at) ON live TO conversations_app;

-- What the router may do, and nothing else. They change by expand-then-contract.

-- The messages that this run reads before this turn: those that came in since, and again the same ones for a repeat.
-- There is always a row; its `input_id` is empty where there is no message. `is_active` false: the run has been stopped.
CREATE FUNCTION take_inputs(of_run text, at_turn integer)
    RETURNS TABLE (is_active boolean, input_id text, text text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    held conversations.conversations%ROWTYPE;
BEGIN
    SELECT c.* INTO held FROM conversations.conversations c
    JOIN conversations.runs r ON r.conversation_id = c.conversation_id
    WHERE r.run = of_run
    FOR UPDATE OF c;
    IF held.run IS DISTINCT FROM of_run THEN
        RETURN QUERY SELECT false, ''::text, ''::text;
        RETURN;
    END IF;
    IF NOT EXISTS (SELECT FROM conversations.inputs i WHERE i.conversation_id = held.conversation_id
                   AND i.run = of_run AND i.turn = at_turn AND i.turn > 0) THEN
        UPDATE conversations.inputs i SET state = 'taken', run = of_run, turn = at_turn
        WHERE i.conversation_id = held.conversation_id AND i.state = 'steered';
    END IF;
    RETURN QUERY
        SELECT true, i.input_id, e.body ->> 'text' FROM conversations.inputs i
        JOIN conversations.entries e ON e.conversation_id = i.conversation_id AND e.position = i.position
        WHERE i.conversation_id = held.conversation_id AND i.run = of_run AND i.turn = at_turn AND i.turn > 0
        ORDER BY i.position;
    IF NOT FOUND THEN
        RETURN QUERY SELECT true, ''::text, ''::text;
    END IF;
END
$$;

-- Which of these runs are stopped, so that their model calls can be broken off.
CREATE FUNCTION stopped_runs(of_runs text[]) RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT asked.run FROM unnest(of_runs) AS asked (run)
    LEFT JOIN conversations.runs r ON r.run = asked.run
    LEFT JOIN conversations.conversations c ON c.conversation_id = r.conversation_id
    WHERE c.run IS DISTINCT FROM asked.run
$$;

-- Events of a run, each a JSON object with `key`, `kind` and `body`. A key that is there already adds nothing, and a
-- run that has been stopped adds nothing but the ends of its tools. Returns how many were added.
CREATE FUNCTION append_events(of_run text, told jsonb) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    held conversations.conversations%ROWTYPE;
    its_epoch bigint;
    added integer;
BEGIN
    SELECT c.* INTO held FROM conversations.conversations c
    JOIN conversations.runs r ON r.conversation_id = c.conversation_id
    WHERE r.run = of_run
    FOR UPDATE OF c;
    IF held.conversation_id IS NULL THEN
        RETURN 0;
    END IF;
    SELECT r.epoch INTO its_epoch FROM conversations.runs r WHERE r.run = of_run;
    WITH fresh AS (
        SELECT each, row_number() OVER (ORDER BY place) - 1 AS number
        FROM jsonb_array_elements(told) WITH ORDINALITY AS told (each, place)
        WHERE (held.run = of_run OR each ->> 'kind' = 'tool_finished')
          AND NOT EXISTS (SELECT FROM conversations.events e
                          WHERE e.conversation_id = held.conversation_id AND e.key = of_run || '/' || (each ->> 'key'))
    )
    INSERT INTO conversations.events (conversation_id, position, user_id, key, run, epoch, kind, body)
    SELECT held.conversation_id, held.next_event + number, held.user_id, of_run || '/' || (each ->> 'key'), of_run,
           its_epoch, each ->> 'kind', coalesce(each -> 'body', '{}'::jsonb)
    FROM fresh;
    GET DIAGNOSTICS added = ROW_COUNT;
    UPDATE conversations.conversations SET next_event = next_event + added
    WHERE conversation_id = held.conversation_id AND added > 0;
    RETURN added;
END
$$;

-- Text of many runs at once, each a JSON object with `run`, `turn`, `attempt` and `text`; an older attempt changes
-- nothing. Returns the runs among them that have been stopped: they write nothing.
CREATE FUNCTION set_live(told jsonb) RETURNS SETOF text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO conversations.live AS l (conversation_id, run, turn, attempt, user_id, text)
    SELECT c.conversation_id, r.run, (each ->> 'turn')::integer, (each ->> 'attempt')::bigint, c.user_id,
           each ->> 'text'
    FROM jsonb_array_elements(told) AS each
    JOIN conversations.runs r ON r.run = each ->> 'run'
    JOIN conversations.conversations c ON c.conversation_id = r.conversation_id AND c.run = r.run
    ORDER BY r.run
    ON CONFLICT (run, turn) DO UPDATE SET attempt = excluded.attempt, text = excluded.text, at = now()
    WHERE l.attempt <= excluded.attempt;
    RETURN QUERY
        SELECT s.run FROM conversations.stopped_runs(
            ARRAY(SELECT DISTINCT each ->> 'run' FROM jsonb_array_elements(told) AS each)) AS s (run);
END
$$;

REVOKE ALL ON FUNCTION take_inputs(text, integer), stopped_runs(text[]), append_events(text, jsonb), set_live(jsonb)
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_inputs(text, integer), stopped_runs(text[]), append_events(text, jsonb), set_live(jsonb)
    TO conversations_router;
