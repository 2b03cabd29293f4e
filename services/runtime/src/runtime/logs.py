"""Logs: one JSON line for each event, with invocation and trace ids, silent while Restate replays a journal."""

import logging
import sys
from typing import Any

from pythonjsonlogger.json import JsonFormatter
from restate.extensions import current_context
from restate.server_context import restate_context_is_replaying

_LIBRARIES = {
    "restate": logging.ERROR,
    "hypercorn": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "httpx2": logging.WARNING,
    "openai": logging.WARNING,
}


def configure_logs(service: str, level: str = "INFO") -> None:
    """Send every log line of this process to standard error as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "message": "event"},
            static_fields={"service": service},
        )
    )
    handler.addFilter(_in_context)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _LIBRARIES.items():
        logging.getLogger(name).setLevel(least)
    logging.getLogger("restate.server_context").addFilter(_not_a_planned_retry)


def get_logger(name: str) -> logging.Logger:
    """A logger whose lines about an invocation are written once, not again at each replay."""
    logger = logging.getLogger(name)
    logger.addFilter(_not_replaying)
    return logger


def _not_a_planned_retry(record: logging.LogRecord) -> bool:
    """The SDK logs each `RetryableError` with its stack; whoever raised it has already said why, in one line."""
    error = record.exc_info[1] if record.exc_info else None
    return error is None or "[503]" not in str(error)


def _not_replaying(_: logging.LogRecord) -> bool:
    return not restate_context_is_replaying.get()


def _in_context(record: logging.LogRecord) -> bool:
    for name, value in _ids().items():
        setattr(record, name, value)
    return True


def _ids() -> dict[str, Any]:
    try:
        context = current_context()
    except LookupError:
        context = None
    if context is None:
        return {}
    request = context.request()
    traceparent = (request.attempt_headers.get("traceparent") or request.headers.get("traceparent") or "").split("-")
    return {"invocation": request.id} | ({"trace": traceparent[1]} if len(traceparent) == 4 else {})
