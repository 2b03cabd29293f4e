-- What a run did at each turn, as it reported it, for staff: a row is a turn, and is never changed. `trace_id` is how the
-- traces know the run; empty without tracing.
CREATE TABLE steps (
    conversation_id text NOT NULL,
    run             text NOT NULL CHECK (run <> ''),
    turn            integer NOT NULL CHECK (turn > 0),
    user_id         text NOT NULL,
    body            jsonb NOT NULL,
    PRIMARY KEY (conversation_id, run, turn),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (conversation_id, user_id) ON DELETE CASCADE
);

ALTER TABLE steps ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY caller ON steps TO conversations_app
    USING (user_id = nullif(current_setting('app.user_id', true), ''))
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), ''));
GRANT SELECT, INSERT ON steps TO conversations_app;

ALTER TABLE runs ADD COLUMN trace_id text NOT NULL DEFAULT '';
GRANT UPDATE (trace_id) ON runs TO conversations_app;
