"""What the services tell of themselves: logs, metrics, traces, and the table of all of it."""
