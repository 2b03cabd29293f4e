"""Demo data for the desk: tickets, conversations and approvals of the demo customers, in bulk."""
