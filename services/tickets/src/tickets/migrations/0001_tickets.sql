CREATE TABLE tickets (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id    text NOT NULL UNIQUE
                 GENERATED ALWAYS AS ('TCK-' || lpad(number::text, greatest(6, length(number::text)), '0')) STORED,
    workflow_key text NOT NULL UNIQUE CHECK (workflow_key <> ''),
    user_id      text NOT NULL CHECK (user_id <> ''),
    subject      text NOT NULL,
    description  text NOT NULL,
    category     text NOT NULL,
    priority     text NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    status       text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'assigned', 'closed')),
    assignee     text,
    sla_due_at   timestamptz NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX tickets_of_user ON tickets (user_id, number DESC);
CREATE INDEX tickets_due ON tickets (sla_due_at) WHERE status <> 'closed';

-- One row for each effect, written in the effect's own transaction. Append-only: nobody is granted UPDATE or DELETE.
CREATE TABLE audit (
    audit_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id text NOT NULL REFERENCES tickets (ticket_id),
    who       text NOT NULL CHECK (who <> ''),
    action    text NOT NULL CHECK (action IN ('create', 'assign', 'close')),
    args_hash text NOT NULL,
    note      text NOT NULL DEFAULT '',
    at        timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX audit_of_ticket ON audit (ticket_id, audit_id);

ALTER TABLE tickets ENABLE ROW LEVEL SECURITY;
ALTER TABLE tickets FORCE ROW LEVEL SECURITY;
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;

-- The services act for one caller a transaction; unset or empty means nobody.
CREATE POLICY caller ON tickets TO tickets_app
    USING (user_id = nullif(current_setting('app.user_id', true), ''))
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), ''));
CREATE POLICY caller ON audit FOR INSERT TO tickets_app
    WITH CHECK (who = nullif(current_setting('app.user_id', true), ''));
GRANT SELECT, INSERT ON tickets TO tickets_app;
GRANT INSERT ON audit TO tickets_app;

-- The staff see every ticket, and may change only how it stands.
CREATE POLICY staff ON tickets TO tickets_staff USING (true) WITH CHECK (true);
CREATE POLICY staff ON audit TO tickets_staff USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE (status, assignee, updated_at) ON tickets TO tickets_staff;
GRANT SELECT, INSERT ON audit TO tickets_staff;
