WITH limits AS (
    SELECT metric, COALESCE(agreed.allowed, offered.allowed) AS allowed
    FROM (SELECT * FROM plan_limits WHERE plan = (SELECT plan FROM customers WHERE user_id = $1)) AS offered
    FULL JOIN (SELECT * FROM agreed_limits WHERE user_id = $1) AS agreed USING (metric)
), used AS (
    SELECT metric, COALESCE(used, 0) AS used, allowed
    FROM (SELECT * FROM limits WHERE metric <> 'requests_per_second') AS limits
    FULL JOIN (
        SELECT metric, used FROM usage
        WHERE user_id = $1 AND month = date_trunc('month', CURRENT_DATE)::date
    ) AS month USING (metric)
), billed AS (
    SELECT *, status = 'open' AND due_on < CURRENT_DATE AS overdue
    FROM invoices WHERE user_id = $1
    ORDER BY overdue DESC, issued_on DESC, invoice_id LIMIT 6
), failed AS (
    SELECT endpoint, status, code, message, count, last_seen
    FROM api_errors WHERE user_id = $1 AND last_seen > now() - interval '7 days'
    ORDER BY count DESC, endpoint, code LIMIT 10
)
SELECT json_build_object(
    'profile', json_build_object(
        'user_id', user_id, 'name', customers.name, 'company', company, 'country', country,
        'email', regexp_replace(email, '^(.).*@', '\1***@'), 'status', status,
        'customer_since', customer_since, 'trial_ends_on', trial_ends_on
    ),
    'plan', json_build_object(
        'name', plans.name, 'monthly_price_usd', round(monthly_price_cents / 100.0, 2),
        'limits', (SELECT json_object_agg(metric, allowed ORDER BY metric) FROM limits)
    ),
    'usage', (SELECT COALESCE(json_agg(json_build_object(
        'metric', metric, 'used', used, 'limit', allowed,
        'percent', round(100.0 * used / NULLIF(allowed, 0), 1), 'over_limit', COALESCE(used > allowed, false)
    ) ORDER BY metric), '[]') FROM used),
    'invoices', (SELECT COALESCE(json_agg(json_build_object(
        'invoice_id', invoice_id, 'amount', round(amount_cents / 100.0, 2), 'currency', currency,
        'status', CASE WHEN overdue THEN 'overdue' ELSE status END,
        'issued_on', issued_on, 'due_on', due_on, 'paid_on', paid_on,
        'days_overdue', CASE WHEN overdue THEN CURRENT_DATE - due_on END
    )), '[]') FROM billed),
    'recent_errors', (SELECT COALESCE(json_agg(failed), '[]') FROM failed)
)
FROM customers JOIN plans USING (plan) WHERE user_id = $1
