"""Errors, by who must act on them.

TerminalError                 Restate ends the invocation
└── Refused                   the client (or the model, when a tool refuses) must send something else
RetryableError                Restate tries again after a delay
TryAgain, OSError             Restate tries again under the retry policy of the step or the handler
anything else                 somebody mends our code: see `defects`
"""

from restate import TerminalError


class Refused(TerminalError):
    """Final, and safe to read: the message names what was wrong and never repeats the input.

    Clients find `code` and `field` in the error's `metadata`; `status` is a 4xx (a tool's own conflict is never 409,
    which Restate uses for cancellation).
    """

    def __init__(self, status: int, code: str, message: str, field: str | None = None) -> None:
        metadata = {"code": code} if field is None else {"code": code, "field": field}
        super().__init__(message, status_code=status, metadata=metadata)
        self.code = code


class TryAgain(Exception):
    """Another attempt may do better. Restate keeps the words: they are short, and hold nothing from outside."""
