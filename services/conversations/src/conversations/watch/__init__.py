"""Watching a conversation: its log and its live text, as server-sent events."""
