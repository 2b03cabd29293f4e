"""`/api/v1`: what a customer does, by JSON."""
