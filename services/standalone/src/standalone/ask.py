"""One question to the agent: durable from the moment it is sent, with its steps shown as they happen."""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Callable
from typing import Any, cast

import aiohttp
from pydantic import ValidationError
from rich.text import Text

from contracts import Answer
from runtime.terminal import printable
from standalone.door import Door, find_door
from standalone.model import advice
from standalone.settings import AskSettings
from standalone.steps import Journal, Step
from standalone.terminal import console, say

ANSWER_SECONDS = 300
UNREACHABLE_SECONDS = 15
POLL_SECONDS = 0.1
LOOK_SECONDS = 2

Show = Callable[[Step], None]


class NoAnswer(Exception):
    """There is no answer; the message is one line that says who can do what."""


async def ask_and_show(settings: AskSettings, message: str, user_id: str) -> None:
    """Print the question, each step when it has ended, and the answer."""
    say(f"{user_id} asks: {message}", "bold")
    began = time.monotonic()
    answer = await ask(settings, message, user_id, show_step)
    show_answer(answer, time.monotonic() - began)
    if answer.outcome == "model_misconfigured":
        raise NoAnswer(advice(settings.data_dir))


async def ask(settings: AskSettings, message: str, user_id: str, show: Show) -> Answer:
    """Send the question with a fresh idempotency key, so that it is answered once however often it is sent."""
    key = str(uuid.uuid4())
    over = asyncio.Event()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS)) as http:
        door = await find_door(http, settings, user_id)
        watching = asyncio.create_task(_watch(Journal(http, settings.admin_url, door.key_at_restate(key)), show, over))
        try:
            return await _send(http, door, message, key)
        finally:
            over.set()
            await watching


async def _send(http: aiohttp.ClientSession, door: Door, message: str, key: str) -> Answer:
    away_since: float | None = None
    headers, (url, question) = {**door.headers, "Idempotency-Key": key}, door.question(message)
    while away_since is None or time.monotonic() - away_since < UNREACHABLE_SECONDS:
        try:
            async with http.post(url, json=question, headers=headers) as reply:
                text = await reply.text()
        except TimeoutError:
            raise NoAnswer(f"no answer after {ANSWER_SECONDS} s; the run goes on, see the Restate UI") from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError):
            away_since = away_since or time.monotonic()
            await asyncio.sleep(0.5)
            continue
        if reply.status == 200:
            return _read(text)
        if reply.status == 202 or is_worth_another_try(text):
            away_since = away_since or time.monotonic() if reply.status == 503 else None
            await asyncio.sleep(0.5 if reply.status == 503 else 0)
            continue
        raise NoAnswer(f"refused with status {reply.status}: {_reason(text)}")
    raise NoAnswer(f"nothing answers at {door.at}: is `make run` up? (GATEWAY_PORT, RESTATE_INGRESS_PORT)")


def is_worth_another_try(text: str) -> bool:
    """Whether the gateway says that the same request may do better: with the same key it is done once."""
    try:
        told: Any = json.loads(text)
    except ValueError:
        return False
    return isinstance(told, dict) and cast(dict[str, Any], told).get("retryable") is True


async def _watch(journal: Journal, show: Show, over: asyncio.Event) -> None:
    """Shows each step when it has ended; on a terminal also what runs now. That it cannot look stops no answer."""
    shown: set[int] = set()
    with console.status("...", spinner="dots") as status:
        last_look = False
        while not last_look:
            last_look = over.is_set()
            steps = await _look(journal)
            for place, step in enumerate(steps):
                if step.seconds is not None and place not in shown:
                    shown.add(place)
                    show(step)
            status.update(Text(printable(", ".join(step.name for step in steps if step.seconds is None) or "...")))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), POLL_SECONDS)


async def _look(journal: Journal) -> list[Step]:
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            return await journal.steps()
    except (aiohttp.ClientError, TimeoutError, KeyError, ValueError):
        return []


def show_step(step: Step) -> None:
    say(f"  {step.name:<40} {step.seconds:6.2f} s", "cyan")


def show_answer(answer: Answer, seconds: float) -> None:
    say()
    say(answer.text)
    say()
    tickets = f", tickets: {', '.join(answer.tickets)}" if answer.tickets else ""
    usage = answer.usage
    spent = f"{usage.turns} model turns, {usage.calls} calls, {usage.tokens} tokens"
    say(f"{answer.outcome} in {seconds:.2f} s: {spent}{tickets}", "green" if answer.outcome == "answered" else "yellow")


def _read(text: str) -> Answer:
    try:
        return Answer.model_validate_json(text)
    except ValidationError:
        raise NoAnswer("what answers there is not the gateway: see GATEWAY_PORT") from None


def _reason(text: str) -> str:
    try:
        error: dict[str, Any] = json.loads(text)
    except ValueError:
        return text[:200]
    return str(error.get("detail") or error.get("title") or error.get("message"))
