-- What the plans offer: the same for everybody, so no row-level security.

CREATE TABLE plans (
    plan text PRIMARY KEY,
    name text NOT NULL,
    monthly_price_cents integer CHECK (monthly_price_cents >= 0) -- null: by contract
);

CREATE TABLE plan_limits (
    plan text NOT NULL REFERENCES plans,
    metric text NOT NULL CHECK (metric IN ('api_calls_per_month', 'requests_per_second', 'team_members', 'storage_gb')),
    allowed bigint NOT NULL CHECK (allowed >= 0),
    PRIMARY KEY (plan, metric)
);

INSERT INTO plans (plan, name, monthly_price_cents) VALUES
    ('free', 'Free', 0),
    ('starter', 'Starter', 2900),
    ('pro', 'Pro', 19900),
    ('business', 'Business', 99900),
    ('enterprise', 'Enterprise', NULL);

INSERT INTO plan_limits (plan, metric, allowed) VALUES
    ('free', 'api_calls_per_month', 1000),
    ('free', 'requests_per_second', 2),
    ('free', 'team_members', 1),
    ('free', 'storage_gb', 1),
    ('starter', 'api_calls_per_month', 50000),
    ('starter', 'requests_per_second', 10),
    ('starter', 'team_members', 5),
    ('starter', 'storage_gb', 10),
    ('pro', 'api_calls_per_month', 500000),
    ('pro', 'requests_per_second', 50),
    ('pro', 'team_members', 20),
    ('pro', 'storage_gb', 100),
    ('business', 'api_calls_per_month', 5000000),
    ('business', 'requests_per_second', 200),
    ('business', 'team_members', 100),
    ('business', 'storage_gb', 1000);

-- What belongs to one customer.

CREATE TABLE customers (
    user_id text PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    company text NOT NULL,
    country text NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    plan text NOT NULL REFERENCES plans,
    status text NOT NULL CHECK (status IN ('active', 'trial', 'past_due', 'suspended', 'cancelled')),
    customer_since date NOT NULL,
    trial_ends_on date
);

CREATE TABLE agreed_limits ( -- a contract's limits, which replace those of the plan
    user_id text NOT NULL REFERENCES customers ON DELETE CASCADE,
    metric text NOT NULL CHECK (metric IN ('api_calls_per_month', 'requests_per_second', 'team_members', 'storage_gb')),
    allowed bigint NOT NULL CHECK (allowed >= 0),
    PRIMARY KEY (user_id, metric)
);

CREATE TABLE usage (
    user_id text NOT NULL REFERENCES customers ON DELETE CASCADE,
    month date NOT NULL CHECK (extract(day FROM month) = 1),
    metric text NOT NULL CHECK (metric IN ('api_calls_per_month', 'team_members', 'storage_gb')),
    used bigint NOT NULL CHECK (used >= 0),
    PRIMARY KEY (user_id, month, metric)
);

CREATE TABLE invoices (
    invoice_id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES customers ON DELETE CASCADE,
    amount_cents integer NOT NULL CHECK (amount_cents >= 0),
    currency text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    status text NOT NULL CHECK (status IN ('open', 'paid', 'void')), -- overdue: open after its due date
    issued_on date NOT NULL,
    due_on date NOT NULL,
    paid_on date,
    CHECK ((status = 'paid') = (paid_on IS NOT NULL))
);

CREATE INDEX invoices_by_customer ON invoices (user_id, issued_on DESC);

CREATE TABLE api_errors ( -- failed API calls, counted by endpoint and code
    user_id text NOT NULL REFERENCES customers ON DELETE CASCADE,
    endpoint text NOT NULL,
    status smallint NOT NULL CHECK (status BETWEEN 400 AND 599),
    code text NOT NULL,
    message text NOT NULL,
    count bigint NOT NULL CHECK (count > 0),
    last_seen timestamptz NOT NULL,
    PRIMARY KEY (user_id, endpoint, code)
);

ALTER TABLE customers ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE agreed_limits ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE usage ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE invoices ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE api_errors ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- After a transaction that set it, the setting is empty and not unset; both mean nobody.
CREATE POLICY own_rows ON customers USING (user_id = NULLIF(current_setting('app.user_id', true), ''));
CREATE POLICY own_rows ON agreed_limits USING (user_id = NULLIF(current_setting('app.user_id', true), ''));
CREATE POLICY own_rows ON usage USING (user_id = NULLIF(current_setting('app.user_id', true), ''));
CREATE POLICY own_rows ON invoices USING (user_id = NULLIF(current_setting('app.user_id', true), ''));
CREATE POLICY own_rows ON api_errors USING (user_id = NULLIF(current_setting('app.user_id', true), ''));

GRANT SELECT ON plans, plan_limits, customers, agreed_limits, usage, invoices, api_errors TO users_app;
