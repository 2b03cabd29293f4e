"""What crosses a room: questions, answers, tools. Additive only: former versions drain for hours."""

from contracts.answer import Answer, CallRecord, CallStatus, Outcome, Usage
from contracts.question import USER_ID, Accepted, Caller, Question
from contracts.tool import Catalogue, LeftOut, Mode, Tool

__all__ = [
    "USER_ID",
    "Accepted",
    "Answer",
    "CallRecord",
    "CallStatus",
    "Caller",
    "Catalogue",
    "LeftOut",
    "Mode",
    "Outcome",
    "Question",
    "Tool",
    "Usage",
]
