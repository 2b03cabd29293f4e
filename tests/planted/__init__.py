"""Planted bugs: each is one that such systems are known to have, and each is caught by some test."""
