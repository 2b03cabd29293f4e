-- The schemas and login roles of the services, for a database whose roles a DBA makes by hand. May be run again; a new
-- password is then the role's. See README.md.

\set ON_ERROR_STOP on
\getenv users_owner USERS_OWNER_PASSWORD
\getenv users_app USERS_APP_PASSWORD
\getenv tickets_owner TICKETS_OWNER_PASSWORD
\getenv tickets_app TICKETS_APP_PASSWORD
\getenv tickets_staff TICKETS_STAFF_PASSWORD
\getenv conversations_owner CONVERSATIONS_OWNER_PASSWORD
\getenv conversations_app CONVERSATIONS_APP_PASSWORD
\getenv conversations_router CONVERSATIONS_ROUTER_PASSWORD

BEGIN;
SET LOCAL client_min_messages = warning;

-- A statement for each role that is missing, which \gexec runs.
SELECT format('CREATE ROLE %I', role)
FROM unnest(ARRAY['users_owner', 'users_app', 'tickets_owner', 'tickets_app', 'tickets_staff',
    'conversations_owner', 'conversations_app', 'conversations_router']) AS role
WHERE role NOT IN (SELECT rolname FROM pg_roles) \gexec

-- None may pass by row-level security. Only what a role has is taken away: not everyone may so much as name the others.
SELECT format('ALTER ROLE %I NO%s', rolname, attribute)
FROM pg_roles, LATERAL (VALUES ('SUPERUSER', rolsuper), ('CREATEDB', rolcreatedb), ('CREATEROLE', rolcreaterole),
    ('BYPASSRLS', rolbypassrls), ('REPLICATION', rolreplication)) AS strong (attribute, held)
WHERE held AND rolname IN ('users_owner', 'users_app', 'tickets_owner', 'tickets_app', 'tickets_staff',
    'conversations_owner', 'conversations_app', 'conversations_router') \gexec

ALTER ROLE users_owner LOGIN PASSWORD :'users_owner';
ALTER ROLE users_app LOGIN PASSWORD :'users_app';
ALTER ROLE tickets_owner LOGIN PASSWORD :'tickets_owner';
ALTER ROLE tickets_app LOGIN PASSWORD :'tickets_app';
ALTER ROLE tickets_staff LOGIN PASSWORD :'tickets_staff';
ALTER ROLE conversations_owner LOGIN PASSWORD :'conversations_owner';
ALTER ROLE conversations_app LOGIN PASSWORD :'conversations_app';
ALTER ROLE conversations_router LOGIN PASSWORD :'conversations_router';
GRANT CONNECT ON DATABASE :"DBNAME" TO users_owner, users_app, tickets_owner, tickets_app, tickets_staff,
    conversations_owner, conversations_app, conversations_router;

-- The owners migrate; the others get what the migrations grant them, and row-level security holds for them.
GRANT users_owner, tickets_owner, conversations_owner TO CURRENT_USER;
CREATE SCHEMA IF NOT EXISTS users AUTHORIZATION users_owner;
CREATE SCHEMA IF NOT EXISTS tickets AUTHORIZATION tickets_owner;
CREATE SCHEMA IF NOT EXISTS conversations AUTHORIZATION conversations_owner;
SET LOCAL ROLE users_owner;
GRANT USAGE ON SCHEMA users TO users_app;
SET LOCAL ROLE tickets_owner;
GRANT USAGE ON SCHEMA tickets TO tickets_app, tickets_staff;
SET LOCAL ROLE conversations_owner;
GRANT USAGE ON SCHEMA conversations TO conversations_app, conversations_router;

COMMIT;
