"""What crosses a room: questions, answers, conversations, tools. Additive only: former versions drain for hours."""

from contracts.answer import Answer, CallRecord, CallStatus, Outcome, Usage
from contracts.conversation import (
    CONVERSATION_ID,
    INPUT_ID,
    ConversationRun,
    Decided,
    Disposition,
    Effect,
    Entry,
    EntryKind,
    Facts,
    History,
    HistoryLine,
    HistoryQuery,
    Input,
    InputType,
    RunReport,
    WhenBusy,
)
from contracts.event import RunEvent, RunEventKind
from contracts.question import USER_ID, Accepted, Caller, Clock, Question
from contracts.tool import Catalogue, LeftOut, Mode, Tool

__all__ = [
    "CONVERSATION_ID",
    "INPUT_ID",
    "USER_ID",
    "Accepted",
    "Answer",
    "CallRecord",
    "CallStatus",
    "Caller",
    "Catalogue",
    "Clock",
    "ConversationRun",
    "Decided",
    "Disposition",
    "Effect",
    "Entry",
    "EntryKind",
    "Facts",
    "History",
    "HistoryLine",
    "HistoryQuery",
    "Input",
    "InputType",
    "LeftOut",
    "Mode",
    "Outcome",
    "Question",
    "RunEvent",
    "RunEventKind",
    "RunReport",
    "Tool",
    "Usage",
    "WhenBusy",
]
