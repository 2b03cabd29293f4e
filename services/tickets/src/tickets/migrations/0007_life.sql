-- The life of a ticket: new, open (somebody has it), waiting (for its customer), solved, closed. Its time runs in business
-- hours since `clock_since` (NULL: it stands still), after `clock_used` seconds of them. `next_look_at` is when something of
-- it is due that Restate has to look after; NULL: nobody has said yet, as of the tickets of a former version.
ALTER TABLE tickets
    ADD COLUMN state text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'open', 'waiting', 'solved', 'closed')),
    ADD COLUMN clock_since timestamptz,
    ADD COLUMN clock_used double precision NOT NULL DEFAULT 0,
    ADD COLUMN reply_due_at timestamptz,
    ADD COLUMN solve_due_at timestamptz,
    ADD COLUMN replied_at timestamptz,
    ADD COLUMN reply_reminded_at timestamptz,
    ADD COLUMN reply_escalated_at timestamptz,
    ADD COLUMN solve_reminded_at timestamptz,
    ADD COLUMN solve_escalated_at timestamptz,
    ADD COLUMN solved_at timestamptz,
    ADD COLUMN quiet_since timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN next_look_at timestamptz,
    ADD COLUMN merged_into text REFERENCES tickets (ticket_id),
    ADD COLUMN risk_at timestamptz NOT NULL
        GENERATED ALWAYS AS (coalesce(least(reply_due_at, solve_due_at), 'infinity'::timestamptz)) STORED;

-- As the owner, whom row-level security holds too, nothing below would be seen.
ALTER TABLE tickets NO FORCE ROW LEVEL SECURITY;
UPDATE tickets SET
    state = CASE status WHEN 'closed' THEN 'closed' WHEN 'assigned' THEN 'open' ELSE 'new' END,
    clock_since = CASE WHEN status <> 'closed' THEN created_at END,
    solve_due_at = CASE WHEN status <> 'closed' THEN sla_due_at END,
    solved_at = CASE WHEN status = 'closed' THEN updated_at END;
ALTER TABLE tickets FORCE ROW LEVEL SECURITY;

-- `status` is what former versions read and write: the one follows from the other, whichever is changed.
CREATE FUNCTION keep_status() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.clock_since IS NULL AND NEW.state = 'new' THEN
            NEW.clock_since := NEW.created_at;
            NEW.solve_due_at := coalesce(NEW.solve_due_at, NEW.sla_due_at);
        END IF;
    ELSIF NEW.state = OLD.state AND NEW.status <> OLD.status THEN
        NEW.state := CASE NEW.status WHEN 'closed' THEN 'closed' WHEN 'assigned' THEN 'open' ELSE 'new' END;
        IF NEW.state = 'closed' THEN
            NEW.clock_since := NULL;
            NEW.reply_due_at := NULL;
            NEW.solve_due_at := NULL;
            NEW.solved_at := coalesce(NEW.solved_at, now());
        END IF;
    END IF;
    IF NEW.state IN ('solved', 'closed') THEN
        NEW.status := 'closed';
    ELSIF NEW.assignee IS NULL THEN
        NEW.status := 'open';
    ELSE
        NEW.status := 'assigned';
    END IF;
    NEW.sla_due_at := coalesce(NEW.solve_due_at, NEW.sla_due_at);
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION keep_status() FROM PUBLIC;
CREATE TRIGGER keep_status BEFORE INSERT OR UPDATE OF state, status, assignee, solve_due_at ON tickets
    FOR EACH ROW EXECUTE FUNCTION keep_status();

-- What was said of a ticket after its first words: replies of staff and answers of its customer, and notes that no customer
-- reads.
CREATE TABLE messages (
    number    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id text NOT NULL REFERENCES tickets (ticket_id),
    user_id   text NOT NULL CHECK (user_id <> ''),
    kind      text NOT NULL CHECK (kind IN ('reply', 'note', 'answer')),
    who       text NOT NULL CHECK (who <> ''),
    words     text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX messages_of_ticket ON messages (ticket_id, number);

-- For whom a transaction of the services acts on all tickets: 'staff/<name>', whose token has been checked, or 'switchboard'
-- for what falls due. Unset or empty: for one customer.
CREATE FUNCTION desk() RETURNS text
    LANGUAGE sql STABLE
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT nullif(current_setting('app.desk', true), '')
$$;

ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE messages FORCE ROW LEVEL SECURITY;
CREATE POLICY caller ON messages FOR SELECT TO tickets_app
    USING (user_id = nullif(current_setting('app.user_id', true), '') AND kind <> 'note');
CREATE POLICY answers ON messages FOR INSERT TO tickets_app
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), '') AND who = user_id AND kind = 'answer');
CREATE POLICY desk ON messages TO tickets_app
    USING ((SELECT tickets.desk()) IS NOT NULL)
    WITH CHECK ((SELECT tickets.desk()) LIKE 'staff/%' AND kind <> 'answer' AND who = substr((SELECT tickets.desk()), 7));
CREATE POLICY staff ON messages FOR SELECT TO tickets_staff USING (true);
GRANT SELECT, INSERT ON messages TO tickets_app;
GRANT SELECT ON messages TO tickets_staff;

CREATE POLICY desk ON tickets TO tickets_app
    USING ((SELECT tickets.desk()) IS NOT NULL) WITH CHECK ((SELECT tickets.desk()) IS NOT NULL);
CREATE POLICY desk ON additions FOR SELECT TO tickets_app USING ((SELECT tickets.desk()) IS NOT NULL);
CREATE POLICY desk ON notifications FOR SELECT TO tickets_app USING ((SELECT tickets.desk()) IS NOT NULL);
GRANT UPDATE (
    state, assignee, category, priority, updated_at, sla_due_at, clock_since, clock_used, reply_due_at, solve_due_at, replied_at,
    reply_reminded_at, reply_escalated_at, solve_reminded_at, solve_escalated_at, solved_at, quiet_since, next_look_at,
    merged_into
) ON tickets TO tickets_app;

-- `act` names what a change belongs to, so that a repeat of it is known; `acting` is who did it in what part.
ALTER TABLE audit
    ADD COLUMN act text,
    ADD COLUMN acting text CHECK (acting IN ('customer', 'staff', 'switchboard'));
CREATE UNIQUE INDEX audit_of_act ON audit (act, action) WHERE act IS NOT NULL;
ALTER TABLE audit DROP CONSTRAINT audit_action_check;
ALTER TABLE audit ADD CONSTRAINT audit_action_check CHECK (action IN (
    'create', 'assign', 'close', 'resend', 'drop', 'add', 'reply', 'note', 'answer', 'release', 'open', 'wait', 'solve', 'reopen',
    'priority', 'category', 'merge', 'take_in', 'remind_reply', 'remind_solve', 'escalate_reply', 'escalate_solve'
)) NOT VALID;
CREATE POLICY desk ON audit FOR INSERT TO tickets_app WITH CHECK ((SELECT tickets.desk()) IS NOT NULL);

-- Who did it is the database's own word, whatever a statement says.
CREATE OR REPLACE FUNCTION audit_who() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_user <> 'tickets_app' THEN
        NEW.who := session_user;
        NEW.acting := 'staff';
    ELSIF tickets.desk() LIKE 'staff/%' THEN
        NEW.who := substr(tickets.desk(), 7);
        NEW.acting := 'staff';
    ELSIF tickets.desk() IS NOT NULL THEN
        NEW.who := 'switchboard';
        NEW.acting := 'switchboard';
    ELSE
        NEW.acting := 'customer';
    END IF;
    RETURN NEW;
END
$$;

-- The services may not read the audit; for a member of staff, or to know a repeat, these do. They open for the desk alone, and
-- for a customer by the act's name, which is a secret of the invocation.
CREATE POLICY told ON audit FOR SELECT TO tickets_owner USING (session_user = 'tickets_app');
CREATE FUNCTION ticket_history(of_ticket text)
    RETURNS TABLE (who text, acting text, action text, note text, at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT who, coalesce(acting, CASE WHEN action IN ('create', 'add') THEN 'customer' ELSE 'staff' END), action, note, at
    FROM tickets.audit WHERE ticket_id = of_ticket AND tickets.desk() IS NOT NULL ORDER BY audit_id
$$;
CREATE FUNCTION act_done(of_act text) RETURNS TABLE (action text, note text, args_hash text, ticket_id text, at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT action, note, args_hash, ticket_id, at FROM tickets.audit WHERE act = of_act ORDER BY audit_id
$$;
REVOKE ALL ON FUNCTION ticket_history(text), act_done(text), desk() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ticket_history(text), act_done(text), desk() TO tickets_app;

-- For the staff's search: the words of a ticket and of each message. No role may read it; the function that does opens for
-- the desk alone.
CREATE TABLE words (
    ticket_id text NOT NULL,
    words     tsvector NOT NULL
);
CREATE INDEX words_found ON words USING gin (words);
ALTER TABLE tickets NO FORCE ROW LEVEL SECURITY;
ALTER TABLE additions NO FORCE ROW LEVEL SECURITY;
INSERT INTO words SELECT ticket_id, to_tsvector('simple', subject || ' ' || description) FROM tickets;
INSERT INTO words SELECT ticket_id, to_tsvector('simple', words) FROM additions;
ALTER TABLE tickets FORCE ROW LEVEL SECURITY;
ALTER TABLE additions FORCE ROW LEVEL SECURITY;

CREATE FUNCTION keep_words() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF TG_TABLE_NAME = 'tickets' THEN
        INSERT INTO tickets.words VALUES (NEW.ticket_id, to_tsvector('simple', NEW.subject || ' ' || NEW.description));
    ELSE
        INSERT INTO tickets.words VALUES (NEW.ticket_id, to_tsvector('simple', NEW.words));
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION keep_words() FROM PUBLIC;
CREATE TRIGGER keep_words AFTER INSERT ON tickets FOR EACH ROW EXECUTE FUNCTION keep_words();
CREATE TRIGGER keep_words AFTER INSERT ON additions FOR EACH ROW EXECUTE FUNCTION keep_words();
CREATE TRIGGER keep_words AFTER INSERT ON messages FOR EACH ROW EXECUTE FUNCTION keep_words();

CREATE FUNCTION tickets_with(wanted text) RETURNS SETOF text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT DISTINCT w.ticket_id FROM tickets.words w
    WHERE tickets.desk() IS NOT NULL AND w.words @@ websearch_to_tsquery('simple', wanted)
$$;
REVOKE ALL ON FUNCTION tickets_with(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tickets_with(text) TO tickets_app;

CREATE INDEX tickets_at_risk ON tickets (risk_at, number) WHERE state IN ('new', 'open', 'waiting');
CREATE INDEX tickets_of_assignee ON tickets (assignee, risk_at) WHERE assignee IS NOT NULL;
CREATE INDEX tickets_to_look_at ON tickets (next_look_at) WHERE state <> 'closed';
CREATE INDEX tickets_merged ON tickets (merged_into) WHERE merged_into IS NOT NULL;
