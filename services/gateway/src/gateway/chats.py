"""A conversation of a chat UI: found by the ids that it sends, spoken in, and followed until it is answered."""

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import NamedTuple

from starlette.datastructures import Headers

from contracts import Disposition, History
from gateway.callers import Visitor
from gateway.events import Stream
from gateway.names import fresh
from gateway.parts import Parts
from gateway.telling import Frame, frames_in
from runtime.api.problems import Problem
from runtime.proof import for_conversation

AGAIN_SECONDS = 0.2
LOOKED_BACK = 40
"""Lines before a message among which there may be some that its client has not seen."""

_VALUE = re.compile(r"[\x21-\x7e]{1,255}")
_NONE = re.compile(r"new|null|none|undefined|local([:_-].*)?|\{\{.*", re.IGNORECASE)
"""What chat UIs send of a chat that they do not keep, or that has no id yet."""


class Chat(NamedTuple):
    """Where a message of a chat UI is said, and by which name."""

    conversation: str
    input_id: str


def chat_of(headers: Headers, here: Parts, who: Visitor, key: str | None) -> Chat | None:
    """The conversation of this caller that the headers name, if they name one. Raises: `Problem` for what is no id."""
    found = _named(headers, here.settings.chat_headers)
    if found is None:
        return None
    conversation = f"conv_{here.names.of_chat(who.user_id, *found)}"
    message = _named(headers, here.settings.message_headers)
    if key:
        return Chat(conversation, f"key_{here.names.of_request(who.user_id, 'POST', conversation, key)}")
    return Chat(conversation, f"msg_{here.names.of_message(conversation, *message) if message else fresh()}")


def _named(headers: Headers, names: Iterable[str]) -> tuple[str, str] | None:
    for name in names:
        told = headers.getlist(name)
        if not told or not told[0] or _NONE.fullmatch(told[0]):
            continue
        if len(told) > 1 or not _VALUE.fullmatch(told[0]):
            raise Problem("invalid_header", f"{name}: 1 to 255 visible characters of ASCII", field=name)
        return name.lower(), told[0]
    return None


async def say(here: Parts, who: Visitor, chat: Chat, text: str) -> Disposition:
    """What becomes of a message. It opens the conversation if there is none, and takes the place of a question that is
    not answered yet, since whoever asks it does not wait any more. Raises: `Problem`."""
    sent = {"text": text, "input_id": chat.input_id, "when_busy": "interrupt", "tells_repeats": True}
    told = {**sent, "caller_token": here.token(who, for_conversation(chat.conversation))}
    return Disposition.model_validate(await here.restate.call(f"Conversation/{chat.conversation}/input", told))


async def unseen(here: Parts, who: Visitor, chat: Chat, said: Disposition, shown: Sequence[str]) -> list[str]:
    """What was said after the customer's former message and is not among what their client has shown: a person's word,
    what became of a call that a person decided, an answer that came when nobody waited for it any more."""
    if said.position < 2:
        return []
    first = max(0, said.position - 1 - LOOKED_BACK)
    token = here.token(who, for_conversation(chat.conversation))
    query = {"after": str(first), "limit": str(LOOKED_BACK)}
    page = History.model_validate(await here.rooms.read(f"/conversations/{chat.conversation}", token, query))
    seen, told = _lines("\n".join(shown)), list[str]()
    for line in page.entries:
        text = str(line.body.get("text", ""))
        if line.position >= said.position:
            break
        if line.kind == "message":
            told = []
        elif line.kind in ("person", "note") or (line.kind == "answer" and shown):
            told += [text] if text and not _is_shown(text, seen, by_agent=line.kind == "answer") else []
    return told


def _is_shown(text: str, seen: str, *, by_agent: bool) -> bool:
    """Whether it stands there, by whole lines; behind an answer its reader may have written more in the same line."""
    lines = _lines(text)
    return lines in seen or (by_agent and f"{lines[:-1]} " in seen)


def _lines(text: str) -> str:
    """Its lines between line feeds, however a client has set them: one text is part of another only by whole lines."""
    return "".join(["\n", *(f"{' '.join(line.split())}\n" for line in text.splitlines() if line.strip())])


async def followed(
    here: Parts, who: Visitor, chat: Chat, said: Disposition, seconds: float
) -> AsyncGenerator[Frame | None]:
    """What happens behind a message, whatever breaks meanwhile; None when nothing has for a while.

    Raises: `Problem` when the time is over, or the conversation is gone.
    """
    after, until = str(said.event - 1) if said.event > 1 else "", time.time() + seconds
    while time.time() < until and not here.leaving.now.is_set():
        token = here.token(who, for_conversation(chat.conversation))
        try:
            opened = Stream.opened(here.rooms, chat.conversation, token, after, until, here.leaving)
            async with opened as stream, aclosing(stream.frames()) as parts:
                async for part in parts:
                    frames = list(frames_in(part))
                    for frame in frames:
                        after = frame.id or after
                        yield frame
                    if not frames:
                        yield None
        except Problem as problem:
            if not problem.kind.retryable:
                raise
        await asyncio.sleep(AGAIN_SECONDS)
    raise Problem("unavailable", "the answer takes too long")
