-- Notifications that their receiver would not take, kept until they are delivered after all or dropped by the staff.
-- `resends`: how often one was handed over again; it tells a late word about a former sending from the latest one's.
CREATE TABLE notifications (
    message_id text PRIMARY KEY CHECK (message_id <> ''),
    ticket_id  text NOT NULL,
    user_id    text NOT NULL CHECK (user_id <> ''),
    message    text NOT NULL,
    state      text NOT NULL DEFAULT 'refused'
               CHECK (state IN ('refused', 'wanted', 'sending', 'delivered', 'dropped')),
    reason     text NOT NULL CHECK (reason IN ('refused', 'no_webhook', 'cancelled')),
    status     integer,
    resends    integer NOT NULL,
    kept_at    timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX notifications_undelivered ON notifications (state, kept_at)
    WHERE state IN ('refused', 'wanted', 'sending');
CREATE INDEX notifications_of_ticket ON notifications (ticket_id);

ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE notifications FORCE ROW LEVEL SECURITY;

CREATE POLICY caller ON notifications TO tickets_app
    USING (user_id = nullif(current_setting('app.user_id', true), ''))
    WITH CHECK (user_id = nullif(current_setting('app.user_id', true), ''));
GRANT SELECT, INSERT, UPDATE (state, reason, status, resends, changed_at) ON notifications TO tickets_app;

-- The staff say what shall become of one, and nothing else.
CREATE POLICY staff ON notifications TO tickets_staff USING (true) WITH CHECK (state IN ('wanted', 'dropped'));
GRANT SELECT (message_id, ticket_id, user_id, state, reason, status, resends, kept_at, changed_at),
    UPDATE (state, changed_at) ON notifications TO tickets_staff;

ALTER TABLE audit DROP CONSTRAINT audit_action_check;
ALTER TABLE audit ADD CONSTRAINT audit_action_check
    CHECK (action IN ('create', 'assign', 'close', 'resend', 'drop')) NOT VALID;

-- As in 0002: over all customers, and nothing but counts and ids.
CREATE POLICY undelivered ON notifications FOR SELECT TO tickets_owner USING (session_user = 'tickets_app');

CREATE FUNCTION notification_counts() RETURNS TABLE (state text, notifications bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT state, count(*) FROM tickets.notifications
    WHERE state IN ('refused', 'wanted', 'sending')
    GROUP BY state
$$;

CREATE FUNCTION wanted_notifications(most integer) RETURNS TABLE (message_id text, user_id text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT message_id, user_id FROM tickets.notifications WHERE state = 'wanted' ORDER BY changed_at LIMIT most
$$;

REVOKE ALL ON FUNCTION notification_counts(), wanted_notifications(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION notification_counts(), wanted_notifications(integer) TO tickets_app;
