"""Logs: one JSON line for each logical event, silent while Restate replays a journal. The events stand in `signals`.

Nothing that came from outside stands in a line, at any level: our events are literals with fields that hold no text of
a customer; an exception is told by its classes and frames, never by its words; and of what a library says only that
stays which is a literal in its source. Restate keeps the words of a failed attempt, for those who may read its journal.
"""

import copy
import logging
import re
import sys
import sysconfig
import threading
import time
import warnings
from pathlib import Path
from traceback import walk_tb
from types import FrameType, TracebackType
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonEncoder, JsonFormatter
from restate.extensions import current_context
from restate.server_context import ServerInvocationContext, restate_context_is_replaying

from runtime.caller import call_of, run_of
from runtime.telemetry.signals import ROOMS
from runtime.telemetry.tracing import TRACEPARENT, Trace

LIBRARY_LINE = "library_line"
FRAMES = 20
OURS = (*ROOMS, "contracts", "runtime")
_STDLIB = sysconfig.get_path("stdlib")

_LIBRARIES = {
    "restate": logging.ERROR,
    "hypercorn": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "httpx2": logging.WARNING,
    "openai": logging.WARNING,
}

_CLASS = re.compile(r"(?:[\[(]\d+[\])] )*([A-Za-z_][A-Za-z0-9_.]{0,80})\(")


_ENCODER = JsonEncoder()
"""The library makes one anew for each line, which takes a third of the line's time."""


class _Lines(JsonFormatter):
    """A record as one line of JSON, without what it must not hold."""

    converter = time.gmtime
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        return super().format(_clean(record))

    def jsonify_log_record(self, log_data: Any) -> str:
        return _ENCODER.encode(log_data)


def configure_logs(service: str, level: str = "INFO") -> None:
    """Send every log line of this process to standard error as JSON; warnings, and what ends a thread, too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Lines(
            "{asctime}{levelname}{name}{message}",
            style="{",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "message": "event"},
            static_fields={"service": service},
            reserved_attrs=[*RESERVED_ATTRS, "is_event"],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name, least in _LIBRARIES.items():
        logging.getLogger(name).setLevel(least)
    logging.getLogger("restate.server_context").addFilter(_not_a_planned_retry)
    sys.excepthook = lambda kind, error, trace: _uncaught(error)
    threading.excepthook = lambda args: None if args.exc_type is SystemExit else _uncaught(args.exc_value)
    sys.unraisablehook = lambda args: _uncaught(args.exc_value)
    warnings.showwarning = _warned


def get_logger(name: str) -> logging.Logger:
    """A logger of events: `log.info("it_happened", extra={...})`, with an event and fields of the table.

    Lines about an invocation are written once, not again at each replay.
    """
    logger = logging.getLogger(name)
    logger.addFilter(_event)
    return logger


def _event(record: logging.LogRecord) -> bool:
    record.is_event = True
    return not restate_context_is_replaying.get()


def _not_a_planned_retry(record: logging.LogRecord) -> bool:
    """The SDK logs each `RetryableError` with its stack; whoever raised it has already said why, in one line."""
    error = record.exc_info[1] if record.exc_info else None
    return error is None or not str(error).startswith("(503)")


def _clean(record: logging.LogRecord) -> logging.LogRecord:
    error = record.exc_info[1] if record.exc_info else None
    fields = _ids(_context(error)) | _exception(error)
    if "is_event" in record.__dict__:
        clean = copy.copy(record)
        clean.exc_info = clean.exc_text = clean.stack_info = None
        for name, value in fields.items():
            clean.__dict__.setdefault(name, value)
        return clean
    text = {"text": record.msg} if isinstance(record.msg, str) and _is_literal(record.msg) else {}
    place = f"{_short(record.pathname)}:{record.lineno} {record.funcName}"
    kept = {name: record.__dict__[name] for name in ("name", "levelname", "levelno", "created", "msecs")}
    return logging.makeLogRecord(kept | fields | text | {"msg": LIBRARY_LINE, "place": place})


def _is_literal(text: str) -> bool:
    """Whether a text stands as it is in the source of whoever logs it: then nothing was put into it."""
    frame = sys._getframe()  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        if text in frame.f_code.co_consts:
            return True
        frame = frame.f_back
    return False


def _exception(error: BaseException | None) -> dict[str, Any]:
    return {} if error is None else {"exception": classes_of(error), "stack": _frames(error.__traceback__)}


def classes_of(error: BaseException) -> list[str]:
    """The class of an error, then those of its causes. Restate's own error wraps what a step raised in a text."""
    classes: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(classes) < FRAMES:
        classes.append(type(cause).__qualname__)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    wrapped = _CLASS.match(str(error)) if type(error).__name__ == "VMException" else None
    return [*classes, wrapped[1]] if wrapped else classes


def place_of(error: BaseException) -> str:
    """The innermost file and line of ours in which it was raised, or else the innermost of all."""
    places = [(f"{_short(frame.f_code.co_filename)}:{line}", frame) for frame, line in walk_tb(error.__traceback__)]
    ours = [place for place, frame in places if _is_ours(frame)]
    return (ours or [place for place, _ in places] or ["unknown"])[-1]


def _is_ours(frame: FrameType) -> bool:
    """Of one of our packages, or of a program that nobody installed."""
    path = frame.f_code.co_filename
    installed = "site-packages" in path or path.startswith((_STDLIB, "<"))
    return not installed or frame.f_globals.get("__name__", "").partition(".")[0] in OURS


def _frames(trace: TracebackType | None) -> list[str]:
    """Where it was raised, innermost last: places in source files, no values."""
    frames: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{_short(code.co_filename)}:{trace.tb_lineno} {code.co_qualname}")
        trace = trace.tb_next
    return frames[-FRAMES:]


def _short(path: str) -> str:
    """A file as its package names it."""
    parts = Path(path).parts
    for root in ("site-packages", "src"):
        if root in parts:
            return "/".join(parts[len(parts) - parts[::-1].index(root) :])
    return "/".join(parts[-2:])


_log = get_logger(__name__)


def _uncaught(error: BaseException | None) -> None:
    _log.error("uncaught", exc_info=error)


def _warned(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any) -> None:
    _log.warning("python_warning", extra={"category": category.__name__, "place": f"{_short(filename)}:{lineno}"})


def _context(error: BaseException | None) -> Any:
    """The invocation that this is about, or None. The SDK has left it when it logs what a handler raised."""
    try:
        context: Any = current_context()
    except LookupError:
        context = None
    trace = error.__traceback__ if error else None
    while context is None and trace is not None:
        entered = trace.tb_frame.f_locals.get("self")
        context = entered if isinstance(entered, ServerInvocationContext) else None
        trace = trace.tb_next
    return context


def _ids(context: Any) -> dict[str, Any]:
    """What a line within an invocation is about. The trace is the caller's, else the attempt's, else the run's own."""
    if context is None:
        return {}
    request, run = context.request(), run_of(context)
    told_by = (request.headers, request.attempt_headers)
    traces = [Trace.of(run or request.id, headers.get(TRACEPARENT, "")) for headers in told_by]
    trace = next((each for each in traces if each.above), traces[0])
    told = {"run": run, "call": call_of(context), "trace": trace.hex_id}
    return {"invocation": request.id} | {name: value for name, value in told.items() if value}
