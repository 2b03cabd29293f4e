"""Registers deployments, serves the tool catalogue, ends what is stuck."""
