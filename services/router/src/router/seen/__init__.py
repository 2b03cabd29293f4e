"""What is seen of a run from outside: its spans, counts and log lines."""

from router.seen.watch import Watch

__all__ = ["Watch"]
