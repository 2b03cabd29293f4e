-- Refunds of invoices. A row is the refund and the marker of the call that made it, by the key of that call. One that is
-- cancelled without an invoice was cancelled before it was made, and must never be made.
-- Nothing refers to the invoice: money that went back stays told, whatever becomes of the row it was paid for.

CREATE TABLE refunds (
    number       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    refund_id    text NOT NULL UNIQUE
                 GENERATED ALWAYS AS ('RFD-' || lpad(number::text, greatest(6, length(number::text)), '0')) STORED,
    refund_key   text NOT NULL UNIQUE CHECK (refund_key <> ''),
    user_id      text NOT NULL CHECK (user_id <> ''),
    invoice_id   text,
    amount_cents integer CHECK (amount_cents > 0),
    currency     text,
    reason       text NOT NULL DEFAULT '',
    status       text NOT NULL CHECK (status IN ('refunded', 'cancelled')),
    made_at      timestamptz NOT NULL DEFAULT now(),
    cancelled_at timestamptz,
    CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    CHECK ((invoice_id IS NULL) = (amount_cents IS NULL) AND (invoice_id IS NULL) = (currency IS NULL)),
    CHECK (status = 'cancelled' OR invoice_id IS NOT NULL)
);

CREATE UNIQUE INDEX refunds_once ON refunds (invoice_id) WHERE status = 'refunded';
CREATE INDEX refunds_of_customer ON refunds (user_id);

ALTER TABLE refunds ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON refunds USING (user_id = NULLIF(current_setting('app.user_id', true), ''));
GRANT SELECT, INSERT, UPDATE (status, cancelled_at) ON refunds TO users_app;
