-- Calls that a person decides before they are made. What is decided about is never changed: nobody is granted UPDATE of
-- it. `arguments` are canonical JSON (RFC 8785), `digest` is their SHA-256; `made` are those of an edited call. `ruling` is
-- the digest of the decision, so that a repeat of it is known, or says by what the call was withdrawn. A call of a single
-- question has no conversation. `invocation` is the one that waits.
CREATE TABLE approvals (
    approval_id     text PRIMARY KEY CHECK (approval_id ~ '^appr_[A-Za-z0-9]{16,64}$'),
    conversation_id text,
    user_id         text NOT NULL CHECK (user_id <> ''),
    run             text NOT NULL,
    epoch           bigint NOT NULL DEFAULT 0,
    call            text NOT NULL,
    invocation      text NOT NULL,
    tool            text NOT NULL,
    arguments       text NOT NULL,
    digest          text NOT NULL CHECK (digest = encode(sha256(convert_to(arguments, 'UTF8')), 'hex')),
    fixed           text[] NOT NULL,
    parameters      jsonb NOT NULL,
    message         text NOT NULL,
    why             text NOT NULL,
    needs_role      text NOT NULL CHECK (needs_role <> ''),
    asked_at        timestamptz NOT NULL DEFAULT now(),
    expires_at      timestamptz NOT NULL,
    status          text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'approved', 'edited', 'denied', 'expired', 'withdrawn')),
    decided_by      text NOT NULL DEFAULT '',
    decided_at      timestamptz,
    reason          text NOT NULL DEFAULT '',
    ruling          text NOT NULL DEFAULT '',
    made            text,
    changes         jsonb NOT NULL DEFAULT '[]',
    FOREIGN KEY (conversation_id, user_id) REFERENCES conversations (conversation_id, user_id) ON DELETE CASCADE,
    CONSTRAINT decided_by_another_in_time CHECK (
        status NOT IN ('approved', 'edited', 'denied')
        OR (decided_by <> '' AND lower(decided_by) <> lower(user_id) AND decided_at < expires_at)),
    CONSTRAINT edited_is_kept CHECK ((status = 'edited') = (made IS NOT NULL))
);

CREATE INDEX approvals_pending ON approvals (expires_at) WHERE status = 'pending';
CREATE INDEX approvals_of_conversation ON approvals (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX approvals_by_age ON approvals (asked_at);

-- Who, when, what, why: a line for each approval that was asked for, decided, withdrawn or expired. It outlives the
-- conversation, without its arguments.
CREATE TABLE approval_audit (
    approval_id     text NOT NULL,
    user_id         text NOT NULL,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    what            text NOT NULL,
    by              text NOT NULL,
    why             text NOT NULL,
    tool            text NOT NULL,
    digest          text NOT NULL,
    made_digest     text NOT NULL DEFAULT '',
    PRIMARY KEY (approval_id, what)
);

-- A decision is final, whoever writes.
CREATE FUNCTION keep_decision() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RAISE EXCEPTION 'approval % is % already', OLD.approval_id, OLD.status USING ERRCODE = 'check_violation';
END
$$;
REVOKE ALL ON FUNCTION keep_decision() FROM PUBLIC;
CREATE TRIGGER decided_once BEFORE UPDATE ON approvals FOR EACH ROW WHEN (OLD.status <> 'pending')
    EXECUTE FUNCTION keep_decision();

DO $$
DECLARE
    each text;
BEGIN
    FOREACH each IN ARRAY ARRAY['approvals', 'approval_audit'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', each);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', each);
        EXECUTE format(
            'CREATE POLICY caller ON %I TO conversations_app'
            ' USING (user_id = nullif(current_setting(''app.user_id'', true), ''''))'
            ' WITH CHECK (user_id = nullif(current_setting(''app.user_id'', true), ''''))', each);
    END LOOP;
END
$$;

GRANT SELECT, DELETE ON approvals TO conversations_app;
GRANT INSERT (approval_id, conversation_id, user_id, run, epoch, call, invocation, tool, arguments, digest, fixed,
              parameters, message, why, needs_role, expires_at) ON approvals TO conversations_app;
GRANT UPDATE (status, decided_by, decided_at, reason, ruling, made, changes) ON approvals TO conversations_app;
GRANT SELECT, INSERT ON approval_audit TO conversations_app;

-- Of a conversation, the epoch up to which no run may ask a person any more: its customer wanted no more of them.
ALTER TABLE conversations ADD COLUMN withdrawn_upto bigint NOT NULL DEFAULT 0;
GRANT UPDATE (withdrawn_upto) ON conversations TO conversations_app;

ALTER TABLE entries DROP CONSTRAINT entries_kind_check;
ALTER TABLE entries ADD CONSTRAINT entries_kind_check CHECK (
    kind IN ('message', 'stop', 'answer', 'effect', 'late', 'note', 'person', 'owner', 'packet', 'approval')) NOT VALID;

-- For staff, whose token the room has checked: whose an approval is, and the approvals in a list, without what they say.
CREATE POLICY staff ON approvals FOR SELECT TO conversations_owner USING (session_user = 'conversations_app');
CREATE FUNCTION approval_owner(of_approval text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.user_id FROM conversations.approvals a WHERE a.approval_id = of_approval
$$;
CREATE FUNCTION approvals_listed(decided boolean, most integer)
    RETURNS TABLE (approval_id text, status text, tool text, user_id text, conversation_id text, needs_role text,
                   why text, asked_at timestamptz, expires_at timestamptz)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT a.approval_id, CASE WHEN a.status = 'pending' AND a.expires_at <= now() THEN 'expired' ELSE a.status END,
           a.tool, a.user_id, a.conversation_id, a.needs_role, a.why, a.asked_at, a.expires_at
    FROM conversations.approvals a
    WHERE decided <> (a.status = 'pending' AND a.expires_at > now())
    ORDER BY CASE WHEN decided THEN NULL ELSE a.expires_at END, a.asked_at DESC, a.approval_id
    LIMIT most
$$;

REVOKE ALL ON FUNCTION approval_owner(text), approvals_listed(boolean, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION approval_owner(text), approvals_listed(boolean, integer) TO conversations_app;
