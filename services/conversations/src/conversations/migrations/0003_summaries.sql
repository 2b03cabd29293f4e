-- A summary holds whole runs, so that no question is parted from its answer: a question that had to wait stands before
-- the answers of the runs that came first.
COMMENT ON COLUMN summaries.upto IS 'The epoch of the last run in it.';
