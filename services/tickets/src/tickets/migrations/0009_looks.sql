-- Which ticket was left alone longest: one that nobody ever looked at comes first.
DROP INDEX tickets_to_look_at;
CREATE INDEX tickets_to_look_at ON tickets ((coalesce(next_look_at, '-infinity'::timestamptz))) WHERE state <> 'closed';
-- Lists of one state: the index of the unfinished ones serves neither what is solved nor what is closed.
CREATE INDEX tickets_of_state ON tickets (state, risk_at, number);

-- Nothing asks these.
DROP FUNCTION ticket_states();
DROP FUNCTION overlooked_seconds();

-- As before, but who has a waiting ticket says nothing of whom it waits for.
CREATE OR REPLACE FUNCTION keep_status() RETURNS trigger
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
        NEW.state := CASE
            WHEN NEW.status = 'closed' THEN 'closed'
            WHEN OLD.state = 'waiting' THEN 'waiting'
            WHEN NEW.status = 'assigned' THEN 'open'
            ELSE 'new'
        END;
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
