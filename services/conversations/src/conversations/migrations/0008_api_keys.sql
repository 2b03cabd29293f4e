-- Keys by which machines come in at the gateway. The key itself is kept nowhere: only its digest, which opens nothing.
CREATE TABLE api_keys (
    key_id text PRIMARY KEY,
    digest bytea NOT NULL UNIQUE CHECK (octet_length(digest) = 32),
    name text NOT NULL,
    scopes text[] NOT NULL,
    user_header text NOT NULL DEFAULT '',
    prefix text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz
);

-- They are of machines, so no caller owns a row; the room alone reads and writes them.
ALTER TABLE api_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY machines ON api_keys TO conversations_app USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE (used_at, revoked_at) ON api_keys TO conversations_app;
