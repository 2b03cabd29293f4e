"""Customers and their accounts: what the user-database tool reads."""
