"""The staff's view of the conversations, on the terminal. On one machine whoever may read its data folder is staff."""

import getpass
import re
import secrets
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from contracts import STAFF_NAME_PATTERN, History, StandingPage, Undoing
from standalone.ask import NoAnswer
from standalone.database import write_private
from standalone.settings import AskSettings
from standalone.terminal import say
from standalone.transcript import show_line

AUDIENCE = "switchboard-staff"
TOKEN_SECONDS = 300


def read_staff_key(data_dir: Path) -> str:
    """What signs staff tokens on this machine: made once, kept with the data."""
    path = data_dir / "staff_key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(48))
    return path.read_text()


def staff_token(data_dir: Path, name: str, roles: Sequence[str] = ()) -> str:
    """A token for a member of staff, good for five minutes."""
    now = int(time.time())
    claims = {"sub": name, "aud": AUDIENCE, "iat": now, "exp": now + TOKEN_SECONDS, "roles": list(roles)}
    return jwt.encode(claims, read_staff_key(data_dir), "HS256")


class StaffDesk:
    """Calls as one member of staff. Each raises `NoAnswer` with one line that says what was wrong."""

    roles: Sequence[str] = ()
    """What its tokens say of that member of staff."""

    def __init__(self, settings: AskSettings, http: aiohttp.ClientSession, name: str) -> None:
        self._settings = settings
        self._http = http
        self.name = name or login()

    async def list(self) -> None:
        page = StandingPage.model_validate(await self._call("ConversationDesk/list"))
        for row in page.conversations:
            who = row.person or "nobody yet"
            say(
                f"{row.conversation}  {row.user_id}  {who}, since {row.since[:19]}: {row.reason}",
                "" if row.person else "bold",
            )
        if not page.conversations:
            say("no conversation waits for a person, and no person has one", "dim")

    async def show(self, conversation: str) -> None:
        after: int | None = 0
        while after is not None:
            page = History.model_validate(await self._call(f"Conversation/{conversation}/show", after=after))
            for line in page.entries:
                show_line(line)
            after = page.next

    async def take(self, conversation: str) -> None:
        await self._call(f"Conversation/{conversation}/take")
        say(f"{self.name} has {conversation}; the agent is silent")

    async def assign(self, conversation: str, to: str) -> None:
        await self._call(f"Conversation/{conversation}/assign", to=to)
        say(f"{to} has {conversation}; the agent is silent")

    async def say(self, conversation: str, text: str) -> None:
        said = await self._call(f"Conversation/{conversation}/say", text=text, say_id=uuid.uuid4().hex)
        say(f"said, at position {said['position']}")

    async def give_back(self, conversation: str) -> None:
        await self._call(f"Conversation/{conversation}/return")
        say(f"the agent has {conversation} again")

    async def undo(self, conversation: str, run: str) -> None:
        told = Undoing.model_validate(await self._call(f"Conversation/{conversation}/undo", run=run))
        if told.stopping:
            say(f"{told.run} is stopped; what it did is undone as soon as it has settled")
        for tool in told.effects:
            say(f"{tool} is being undone")
        for tool in told.left:
            say(f"{tool} could not be undone: nothing undoes it", "yellow")
        if not (told.stopping or told.effects or told.left):
            say(f"{told.run} did nothing that is still to be undone", "dim")

    async def _call(self, path: str, **body: Any) -> dict[str, Any]:
        told = {"staff_token": staff_token(self._settings.data_dir, self.name, self.roles), **body}
        url = f"{self._settings.ingress_url}/restate/call/{path}"
        try:
            async with self._http.post(url, json=told) as reply:
                answer = await reply.json(content_type=None)
                if reply.status == 200:
                    return answer
                raise NoAnswer(f"refused with status {reply.status}: {answer.get('message', '')}")
        except (aiohttp.ClientConnectionError, ValueError):
            raise NoAnswer("nothing answers there: is `make run` up? (RESTATE_INGRESS_PORT)") from None


def login() -> str:
    """Who uses this terminal, as far as that is a name for staff."""
    try:
        name = getpass.getuser()
    except OSError:
        name = ""
    return name if re.fullmatch(STAFF_NAME_PATTERN, name) else "staff"
