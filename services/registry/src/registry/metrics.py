"""What the registry itself counts. What it asks Restate for stands in `exporter.py`."""

from registry.signals import TABLE

MOST_REASONS = 20
"""Reasons name the classes of exceptions in anybody's code, so their number is bounded here."""

OTHER = "other"
FORMER_CODE = "former code"

_ended = TABLE.counter("switchboard_invocations_ended_total")
_failures = TABLE.counter("switchboard_registration_failures_total")
_restored = TABLE.counter("switchboard_registrations_restored_total")
_reasons: set[str] = set()


def count_ended(service: str, reason: str) -> None:
    _ended.labels(service, _bounded(reason)).inc()


def expect_ended(service: str, reason: str) -> None:
    """Tell 0 before the first one is ended: for Prometheus, a counter that first appears as 1 has not increased."""
    _ended.labels(service, _bounded(reason))


def count_failed(deployment: str) -> None:
    _failures.labels(deployment).inc()


def expect_failed(deployment: str) -> None:
    _failures.labels(deployment)


def count_restored(deployment: str) -> None:
    _restored.labels(deployment).inc()


def expect_restored(deployment: str) -> None:
    _restored.labels(deployment)


def _bounded(reason: str) -> str:
    """A counter cannot forget, so all reasons after the first `MOST_REASONS` of this process are told as `other`."""
    if len(_reasons) < MOST_REASONS:
        _reasons.add(reason)
    return reason if reason in _reasons else OTHER
