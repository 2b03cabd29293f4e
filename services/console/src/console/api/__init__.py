"""`/api/v1`: what staff do, for tools of their own."""
