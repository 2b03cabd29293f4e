"""What is seen of questions that do not end with an answer, and of one that is not to be traced."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from time import time
from typing import Any

import jwt
import pytest

from router.prompt import read_prompt
from router.settings import PROMPT
from standalone.ports import free_port
from tests.parts.board import Board, calls, start_board, text
from tests.parts.otlp import ReceivedSpan, Receiver
from tests.parts.polling import eventually
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.scrape import scrape
from tests.parts.service import Service

KEY = "a-secret-of-32-bytes-for-the-tests"
ATTEMPTS = 2


@dataclass
class TracedBoard:
    board: Board
    receiver: Receiver
    metrics_port: int

    async def ask(self, message: str, **options: Any) -> HttpReply:
        """As somebody with a token."""
        claims = {"sub": "user_t", "aud": "switchboard", "iat": time(), "exp": time() + 300}
        question = {"message": message, "caller_token": jwt.encode(claims, KEY, "HS256")}
        return await self.board.restate.call("ToolRouter", "route", question, **options)

    async def refusals(self) -> set[tuple[str, ...]]:
        """Codes and handlers of the requests that the router refused."""
        return set(await scrape(self.metrics_port, "switchboard_refusals_total"))


@pytest.fixture(scope="module")
async def traced(
    tmp_path_factory: pytest.TempPathFactory, service: Callable[..., Awaitable[Service]]
) -> AsyncIterator[TracedBoard]:
    """A Restate of its own: another router is registered here. To it nobody is a customer, but for who has a token."""
    restate, receiver, port = RestateServer(tmp_path_factory.mktemp("restate")), Receiver(), free_port()
    await receiver.start()
    await restate.start()
    board = await start_board(
        restate,
        service,
        CALLER_KEYS=KEY,
        CUSTOMER_CHECK="Examples/no_customer",
        METRICS_PORT=str(port),
        OPENAI_ATTEMPTS=str(ATTEMPTS),
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url,
    )
    yield TracedBoard(board, receiver, port)
    await restate.kill()
    await receiver.stop()


async def test_a_question_of_nobodys_is_one_span_that_says_so_and_a_refusal(traced: TracedBoard) -> None:
    reply = await traced.board.ask("hello")
    assert reply.status_code == 404
    (span,) = await traced.receiver.named("invoke_agent switchboard")
    assert span.attributes["switchboard.outcome"] == span.error == "unknown_customer"
    assert span.attributes["switchboard.turns"] == 0
    assert span.attributes["switchboard.prompt"] == read_prompt(PROMPT).digest
    assert ("unknown_customer", "route", "ToolRouter") in await traced.refusals()


async def test_a_caller_that_proves_nothing_is_counted_as_refused(traced: TracedBoard) -> None:
    reply = await traced.board.restate.call("ToolRouter", "route", {"message": "hello", "caller_token": "forged"})
    assert reply.status_code == 401
    assert ("caller_token_invalid", "route", "ToolRouter") in await traced.refusals()


async def test_a_turn_that_is_given_up_tells_its_attempts_and_the_time_they_took(traced: TracedBoard) -> None:
    message = await traced.board.script(text("never"))
    await traced.board.fault("server_error", message, times=9)
    began = time()
    answer = (await traced.ask(message)).json()
    assert answer["outcome"] == "model_unavailable"

    def given_up(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
        return [span for span in spans if span.name.startswith("chat ")]

    (turn,) = await traced.receiver.wait_for(given_up)
    assert turn.error == "model_unavailable"
    assert turn.attributes["switchboard.attempts"] == ATTEMPTS
    assert began <= turn.started_at < turn.ended_at - 0.4, "a try waits for half a second before the next"


async def test_a_cancelled_run_tells_how_far_it_came(traced: TracedBoard) -> None:
    message = await traced.board.script(calls(("long_read", {"seconds": 50})), text("never"))
    sent = await traced.ask(message, send=True)
    run = sent.json()["invocationId"]
    apart = f"select id from sys_invocation where invoked_by_id = '{run}'"
    reads = f"select id from sys_invocation where invoked_by_id in ({apart}) and target_handler_name = 'long_read'"

    async def reading() -> bool:
        return bool(await traced.board.restate.query(reads))

    await eventually(reading)
    await request("PATCH", f"{traced.board.restate.admin_url}/invocations/{run}/cancel")

    def of_run(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
        roots = {span.trace_id: span for span in spans if span.attributes.get("switchboard.run") == run}
        return [span for span in spans if span.trace_id in roots]

    spans = await traced.receiver.wait_for(of_run)
    told = {span.name: (span.error, span.attributes.get("switchboard.status")) for span in spans}
    assert told == {
        "chat gpt-4.1-mini": ("", None),
        "execute_tool long_read": ("unknown", "unknown"),
        "invoke_agent switchboard": ("cancelled", None),
    }


async def test_an_exemplar_names_no_trace_that_was_not_sent(traced: TracedBoard) -> None:
    message = await traced.board.script(text("fine"))
    untraced = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"}
    reply = await traced.ask(message, headers=untraced)
    assert reply.json().get("outcome") == "answered", reply.text
    metrics = f"http://127.0.0.1:{traced.metrics_port}/metrics"
    page = (await request("GET", metrics, headers={"accept": "application/openmetrics-text"})).text
    assert re.search(r'outcome="answered"} 1.0 # {run="inv_\w+"}', page)
