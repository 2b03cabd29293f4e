"""Thousands of orders of what can happen to a conversation, against a reference model."""
