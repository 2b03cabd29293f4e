-- What runs do that can be undone, noted before it is done. `undo` is the call that undoes it, with the effect's own key
-- and arguments. `state`: noted, then undoing, undone, or kept (what undoes it has refused). `change` names the wish
-- because of which it is undone.
CREATE TABLE effects (
    number          bigint GENERATED ALWAYS AS IDENTITY,
    conversation_id text NOT NULL,
    run             text NOT NULL CHECK (run <> ''),
    call            text NOT NULL CHECK (call <> ''),
    user_id         text NOT NULL,
    tool            text NOT NULL,
    undo            jsonb NOT NULL,
    state           text NOT NULL DEFAULT 'noted' CHECK (state IN ('noted', 'undoing', 'undone', 'kept')),
    change          text NOT NULL DEFAULT '',
    at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (conversation_id, run, call),
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (conversation_id, user_id) ON DELETE CASCADE
);

ALTER TABLE effects ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY caller ON effects TO conversations_app
    USING (user_id = nullif(current_setting('app.user_id', true), ''))
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), ''));
GRANT SELECT, INSERT, UPDATE (undo, state, change) ON effects TO conversations_app;

ALTER TABLE entries DROP CONSTRAINT entries_kind_check;
ALTER TABLE entries ADD CONSTRAINT entries_kind_check CHECK (
    kind IN ('message', 'stop', 'answer', 'effect', 'late', 'note', 'person', 'owner', 'packet', 'approval',
             'undone')) NOT VALID;
