-- The conversation in which a ticket was made; NULL for a single question. One problem is one ticket: what is said of it
-- later in the same conversation is added, each time once by the key of the workflow that brought it.
ALTER TABLE tickets ADD COLUMN conversation text;

CREATE INDEX tickets_unfinished_in_conversation ON tickets (conversation, number)
    WHERE conversation IS NOT NULL AND status <> 'closed';

CREATE TABLE additions (
    workflow_key text PRIMARY KEY CHECK (workflow_key <> ''),
    ticket_id    text NOT NULL REFERENCES tickets (ticket_id),
    user_id      text NOT NULL CHECK (user_id <> ''),
    words        text NOT NULL,
    at           timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX additions_of_ticket ON additions (ticket_id, at);

ALTER TABLE additions ENABLE ROW LEVEL SECURITY;
ALTER TABLE additions FORCE ROW LEVEL SECURITY;

CREATE POLICY caller ON additions TO tickets_app
    USING (user_id = nullif(current_setting('app.user_id', true), ''))
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), ''));
GRANT SELECT, INSERT ON additions TO tickets_app;

CREATE POLICY staff ON additions FOR SELECT TO tickets_staff USING (true);
GRANT SELECT ON additions TO tickets_staff;

ALTER TABLE audit DROP CONSTRAINT audit_action_check;
ALTER TABLE audit ADD CONSTRAINT audit_action_check
    CHECK (action IN ('create', 'assign', 'close', 'resend', 'drop', 'add')) NOT VALID;
