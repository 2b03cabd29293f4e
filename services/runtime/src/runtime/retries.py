"""How often Restate tries again, said by every handler."""

from contextvars import ContextVar
from datetime import timedelta

from restate import InvocationRetryPolicy

RETRY = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    exponentiation_factor=2,
    max_interval=timedelta(seconds=5),
    max_attempts=1000,
    on_max_attempts="pause",
)
"""For what a caller waits for: patient, since attempts also count while a service is away; `registry` ends what stays
stuck."""

RETRY_UNTIL_DONE = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=100),
    exponentiation_factor=2,
    max_interval=timedelta(minutes=1),
    max_attempts=1_000_000,
    on_max_attempts="pause",
)
"""For effects that nobody waits for: slower and slower, to one try a minute, and for years rather than minutes."""

accepted_for_good: ContextVar[bool] = ContextVar("accepted_for_good", default=False)
"""Whether the handler at work is one of `RETRY_UNTIL_DONE`: then nothing but success may end it."""
