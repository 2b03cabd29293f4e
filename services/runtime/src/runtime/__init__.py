"""Serving, settings, checked input, logs and errors for every service."""
