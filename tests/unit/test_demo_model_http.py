"""The demo model over HTTP, by the real `openai` client: replies, scripts, latency, ledger, and every fault."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from aiohttp import web

from demo_model.double.faults import FAULTS
from demo_model.double.ledger import Ledger
from demo_model.double.malformed import SHAPES, generate
from demo_model.server import CONVERSATIONS_KEPT, DemoModel, build
from tests.parts.polling import eventually

TOOL = {
    "type": "function",
    "function": {
        "name": "track_parcel",
        "description": "Where a parcel is now.",
        "parameters": {"type": "object", "properties": {"tracking_number": {"type": "string"}}},
    },
}
QUESTION = "Where is parcel RX-204-DE?"


class Running:
    """A demo model on a free port, the client of its users and a session for its admin endpoints."""

    def __init__(self, address: str, model: DemoModel, session: aiohttp.ClientSession) -> None:
        self.address, self.model, self.session = address, model, session
        self.client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=30)

    async def ask(self, message: str = "hello", **more: Any) -> Any:
        messages = [{"role": "user", "content": message}]
        create: Any = self.client.chat.completions.create
        return await create(**({"model": "any", "messages": messages} | more))

    async def admin(self, path: str, body: Any = None, method: str = "POST", status: int = 200) -> Any:
        async with self.session.request(method, f"{self.address}/admin/{path}", json=body) as response:
            assert response.status == status
            return await response.json()

    async def arm(self, name: str, **more: Any) -> None:
        await self.admin("fault", {"name": name, **more})

    async def post(self, body: bytes) -> tuple[int, Any]:
        async with self.session.post(f"{self.address}/v1/chat/completions", data=body) as response:
            return response.status, await response.json()


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Running]:
    model = DemoModel(Ledger())
    runner = web.AppRunner(build(model), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        running = Running(f"http://127.0.0.1:{runner.addresses[0][1]}", model, session)
        yield running
        await running.client.close()
    await runner.cleanup()


@pytest.fixture
async def demo(served: Running) -> Running:
    await served.admin("reset")
    await served.admin("ledger", method="DELETE")
    return served


# --- honest replies ------------------------------------------------------------------------------------------------


async def test_it_says_what_it_is(demo: Running) -> None:
    (model,) = (await demo.client.models.list()).data
    assert (model.id, model.owned_by) == ("switchboard-demo", "switchboard: matches words, understands nothing")
    assert (await demo.client.models.retrieve("switchboard-demo")).id == model.id
    reply = await demo.ask("hello")
    assert reply.model == "switchboard-demo"
    assert "understand nothing" in reply.choices[0].message.content
    with pytest.raises(openai.NotFoundError):
        await demo.client.models.retrieve("gpt")


async def test_it_shows_an_example_status_page_whatever_is_scripted(demo: Running) -> None:
    await demo.arm("server_error")
    async with demo.session.get(f"{demo.address}/api/v2/summary.json") as response:
        page = await response.json()
    assert {component["name"]: component["status"] for component in page["components"]}["Payments"] == "operational"


async def test_a_question_is_answered_from_a_tool(demo: Running) -> None:
    first = (await demo.ask(QUESTION, tools=[TOOL])).choices[0]
    assert first.finish_reason == "tool_calls"
    (call,) = first.message.tool_calls
    assert json.loads(call.function.arguments) == {"tracking_number": "RX-204-DE"}
    messages = [
        {"role": "user", "content": QUESTION},
        first.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": '{"parcel_id": "RX-204-DE", "status": "delivered"}'},
    ]
    last = (await demo.ask(tools=[TOOL], messages=messages)).choices[0]
    assert last.finish_reason == "stop"
    assert "Parcel RX-204-DE is delivered." in last.message.content


async def test_a_stream_says_the_same_as_the_whole_reply(demo: Running) -> None:
    whole = await demo.ask("hello")
    stream = await demo.ask("hello", stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


async def test_a_stream_carries_tool_calls(demo: Running) -> None:
    chunks = [chunk async for chunk in await demo.ask(QUESTION, tools=[TOOL], stream=True)]
    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert deltas[0].function.name == "track_parcel"
    assert json.loads("".join(delta.function.arguments for delta in deltas)) == {"tracking_number": "RX-204-DE"}
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(("choice", "called"), [("none", False), ("required", True), ("auto", False)])
async def test_tool_choice_is_obeyed(demo: Running, choice: str, called: bool) -> None:
    message = (await demo.ask("hello", tools=[TOOL], tool_choice=choice)).choices[0].message
    assert bool(message.tool_calls) is called


CALLS = {"id": "c1", "type": "function", "function": {"name": "x", "arguments": "{}"}}
USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        ({"messages": [USER, {"role": "tool", "tool_call_id": "c1", "content": "x"}]}, "messages[1].tool_call_id"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [CALLS]}]}, "messages"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [CALLS]}, USER]}, "messages[2]"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [CALLS, CALLS]}]}, "messages[1].tool_calls[1].id"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"n": 2}, "n"),
    ],
)
async def test_a_misshapen_request_is_refused_by_field(demo: Running, changed: dict[str, Any], field: str) -> None:
    status, body = await demo.post(json.dumps({"model": "m", "messages": [USER]} | changed).encode())
    assert (status, body["error"]["param"]) == (400, field)
    assert body["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_no_object_is_refused(demo: Running, body: bytes) -> None:
    status, told = await demo.post(body)
    assert (status, told["error"]["type"]) == (400, "invalid_request_error")


# --- scripts, latency, ledger --------------------------------------------------------------------------------------


async def test_a_script_is_stepped_by_the_turns_of_the_request(demo: Running) -> None:
    call = {"name": "track_parcel", "arguments": {"tracking_number": "1"}}
    await demo.admin("script", {"match": "scripted", "replies": [{"tool_calls": [call]}, {"text": "over"}]})
    first = (await demo.ask("a scripted one")).choices[0].message
    retried = (await demo.ask("a scripted one")).choices[0].message
    assert first == retried
    assert first.tool_calls[0].function.name == "track_parcel"
    messages = [
        {"role": "user", "content": "a scripted one"},
        first.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": first.tool_calls[0].id, "content": "{}"},
    ]
    assert (await demo.ask(messages=messages)).choices[0].message.content == "over"
    assert "stand-in" in (await demo.ask("another")).choices[0].message.content


async def test_the_latest_script_that_matches_wins(demo: Running) -> None:
    await demo.admin("script", {"replies": [{"text": "for all"}]})
    await demo.admin("script", {"match": "you", "replies": [{"text": "for you"}]})
    assert (await demo.ask("you")).choices[0].message.content == "for you"
    assert (await demo.ask("me")).choices[0].message.content == "for all"


async def test_a_script_may_send_raw_bodies_and_raw_arguments(demo: Running) -> None:
    raw = {"status": 418, "body": {"error": {"message": "teapot"}}, "headers": {"x-kind": "pot"}}
    await demo.admin("script", {"replies": [raw]})
    with pytest.raises(openai.APIStatusError, match="teapot") as raised:
        await demo.ask()
    assert (raised.value.status_code, raised.value.response.headers["x-kind"]) == (418, "pot")
    await demo.admin("script", {"replies": [{"tool_calls": [{"name": "x", "arguments": "{oops", "id": "mine"}]}]})
    (call,) = (await demo.ask()).choices[0].message.tool_calls
    assert (call.id, call.function.arguments) == ("mine", "{oops")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("script", {"replies": []}),
        ("script", {"replies": [{"say": "x"}]}),
        ("script", {"replies": [{"tool_calls": [{"arguments": {}}]}]}),
        ("fault", {"name": "no such"}),
        ("fault", {"name": "reset", "times": "many"}),
        ("latency", {"seconds": -1}),
    ],
)
async def test_an_admin_request_that_cannot_be_followed_is_refused(demo: Running, path: str, body: Any) -> None:
    assert (await demo.admin(path, body, status=400))["error"]["message"]


async def test_one_request_may_say_by_its_header_what_it_gets(demo: Running) -> None:
    reply = await demo.ask(extra_headers={"x-demo-model": '{"text": "by header"}'})
    assert reply.choices[0].message.content == "by header"
    with pytest.raises(openai.BadRequestError, match="x-demo-model"):
        await demo.ask(extra_headers={"x-demo-model": "{"})


async def test_latency_holds_every_reply_back_until_reset(demo: Running) -> None:
    await demo.admin("latency", {"seconds": 0.6})
    started = time.monotonic()
    await demo.ask()
    assert time.monotonic() - started >= 0.6
    await demo.admin("latency", {"seconds": 300})
    await demo.admin("reset")
    assert await demo.ask()


async def test_the_ledger_knows_every_call(demo: Running) -> None:
    await demo.ask("one")
    await demo.ask("one")
    await demo.ask("two", tools=[TOOL], tool_choice="required")
    await demo.post(b"{}")
    await demo.arm("server_error", match="three")
    with pytest.raises(openai.InternalServerError):
        await demo.ask("three")
    ledger = await demo.admin("ledger", method="GET")
    assert (ledger["count"], ledger["paid"]) == (5, 3)
    one, again, two, bad, three = ledger["calls"]
    assert one["digest"] == again["digest"] != two["digest"]
    assert (two["first"], two["turns"], two["model"], two["outcome"]) == ("two", 0, "any", "calls track_parcel")
    assert bad["outcome"].startswith("refused: ")
    assert three["outcome"] == "fault server_error"
    assert [call["first"] for call in (await demo.admin("ledger?match=tw", method="GET"))["calls"]] == ["two"]


async def test_what_a_conversation_sent_last_can_be_read(demo: Running) -> None:
    await demo.ask("read me", tools=[TOOL])
    await demo.ask("not me")
    assert await demo.admin("conversation?match=read", method="GET") == {
        "messages": [{"role": "user", "content": "read me"}],
        "tools": [TOOL],
    }
    assert await demo.admin("conversation?match=nobody", method="GET") == {"messages": [], "tools": []}


async def test_of_many_conversations_the_latest_are_kept(demo: Running) -> None:
    for number in range(CONVERSATIONS_KEPT + 10):
        asked = {"model": "any", "messages": [{"role": "user", "content": f"question {number}."}]}
        assert (await demo.post(json.dumps(asked).encode()))[0] == 200

    async def sent(number: int) -> list[Any]:
        return (await demo.admin(f"conversation?match=question+{number}.", method="GET"))["messages"]

    assert [await sent(9), len(await sent(10)), len(await sent(CONVERSATIONS_KEPT + 9))] == [[], 1, 1]


async def test_a_call_is_in_the_ledger_before_its_reply_is_sent(demo: Running) -> None:
    await demo.arm("hang")
    waiting = asyncio.create_task(demo.ask())
    await eventually(lambda: paid(demo))
    assert not waiting.done()
    waiting.cancel()


async def paid(demo: Running) -> bool:
    return (await demo.admin("ledger", method="GET"))["paid"] == 1


def test_a_ledger_file_survives_a_restart_even_with_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger" / "calls.jsonl"
    call: dict[str, Any] = {"turns": 0, "model": "m", "outcome": "text", "paid": True, "digest": "d"}
    ledger = Ledger(path)
    ledger.record(first="half \ud83d surrogate", **call)
    ledger.close()
    with path.open("a") as file:
        file.write('{"number": 2, "ti')
    ledger = Ledger(path)
    assert ledger.record(first="after", **call) == 2
    ledger.close()
    ledger = Ledger(path)
    assert [entry["first"] for entry in ledger.read()["calls"]] == ["half \ud83d surrogate", "after"]
    ledger.clear()
    ledger.close()
    assert path.read_text() == ""


# --- faults --------------------------------------------------------------------------------------------------------

ERRORS: dict[str, type[Exception]] = {
    "rate_limited": openai.RateLimitError,
    "insufficient_quota": openai.RateLimitError,
    "server_error": openai.InternalServerError,
    "html_503": openai.InternalServerError,
    "bad_request": openai.BadRequestError,
    "unauthorized": openai.AuthenticationError,
    "forbidden": openai.PermissionDeniedError,
    "not_found": openai.NotFoundError,
    "context_length": openai.BadRequestError,
    "reset": openai.APIConnectionError,
    "half_body": openai.APIConnectionError,
    "hang": openai.APITimeoutError,
    "not_json": json.JSONDecodeError,
    "empty_body": json.JSONDecodeError,
    "truncated_json": json.JSONDecodeError,
    "bad_utf8": UnicodeDecodeError,
}


@pytest.mark.parametrize("name", ERRORS)
async def test_the_client_raises_what_the_fault_deserves(demo: Running, name: str) -> None:
    await demo.arm(name)
    with pytest.raises(ERRORS[name]):
        await demo.ask(timeout=1.5 if name == "hang" else 30)
    fired = (await demo.admin("fault", method="GET"))["faults"]
    assert [(one["name"], one["fired"]) for one in fired] == [(name, 1)]
    assert await demo.ask()


async def _spoilt(demo: Running, name: str, **params: Any) -> Any:
    await demo.arm(name, params=params)
    return await demo.ask(QUESTION, tools=[TOOL])


@pytest.mark.parametrize("name", ["null", "array", "error_object", "no_choices", "missing_choices", "null_choices"])
async def test_some_garbage_is_returned_as_success(demo: Running, name: str) -> None:
    reply = await _spoilt(demo, name)
    assert not getattr(reply, "choices", None)


async def test_no_message_is_returned_as_success(demo: Running) -> None:
    assert getattr((await _spoilt(demo, "no_message")).choices[0], "message", None) is None


@pytest.mark.parametrize(
    ("name", "finish", "content"),
    [
        ("content_null", "stop", None),
        ("refusal", "stop", None),
        ("content_filter", "content_filter", ""),
        ("length", "length", "The answer begins, but it is cut in the mid"),
        ("lone_surrogate", "stop", "Half a pair: \ud83d."),
        ("nul_character", "stop", "Nothing\x00 in between."),
    ],
)
async def test_odd_texts_are_returned_as_they_are(demo: Running, name: str, finish: str, content: str | None) -> None:
    choice = (await _spoilt(demo, name)).choices[0]
    assert (choice.finish_reason, choice.message.content) == (finish, content)
    assert bool(choice.message.refusal) is (name == "refusal")


async def test_a_huge_text_is_as_long_as_asked(demo: Running) -> None:
    assert len((await _spoilt(demo, "huge_text", characters=210_000)).choices[0].message.content) == 210_000


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("args_not_json", {"function": {"name": "track_parcel", "arguments": '{"query": "unclosed'}}),
        ("args_object", {"function": {"name": "track_parcel", "arguments": {"query": "an object, not a string"}}}),
        ("args_wrong_schema", {"function": {"name": "track_parcel", "arguments": '{"no_such_parameter": [1, 2, 3]}'}}),
        ("unknown_tool", {"function": {"name": "no_such_tool", "arguments": '{"tracking_number": "RX-204-DE"}'}}),
        ("name_null", {"function": {"name": None, "arguments": '{"tracking_number": "RX-204-DE"}'}}),
        ("id_null", {"id": None}),
        ("duplicate_ids", {"id": "call_same"}),
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
async def test_odd_calls_are_returned_as_they_are(demo: Running, name: str, call: dict[str, Any]) -> None:
    choice = (await _spoilt(demo, name)).choices[0]
    assert choice.finish_reason == "tool_calls"
    assert len(choice.message.tool_calls) == (2 if name == "duplicate_ids" else 1)
    for one in choice.message.tool_calls:
        assert one.model_dump().items() >= call.items()


@pytest.mark.parametrize(("name", "finish"), [("unknown_finish", "eos_token"), ("tool_calls_with_stop", "stop")])
async def test_a_finish_may_belie_the_calls(demo: Running, name: str, finish: str) -> None:
    choice = (await _spoilt(demo, name)).choices[0]
    assert choice.finish_reason == finish
    assert choice.message.tool_calls


@pytest.mark.parametrize("retry_after", [1, 7, None])
async def test_a_rate_limit_says_when_to_come_back(demo: Running, retry_after: int | None) -> None:
    await demo.arm("rate_limited", params={"retry_after": retry_after})
    with pytest.raises(openai.RateLimitError) as raised:
        await demo.ask()
    assert raised.value.response.headers.get("retry-after") == (None if retry_after is None else str(retry_after))


async def test_a_dripping_reply_outlives_a_timeout_that_counts_each_read(demo: Running) -> None:
    await demo.arm("drip", params={"seconds": 0.006})
    started = time.monotonic()
    assert await demo.ask(timeout=2)
    assert time.monotonic() - started > 2


async def test_a_fault_is_armed_for_some_calls_of_one_conversation_at_one_turn(demo: Running) -> None:
    await demo.arm("server_error", match="poor", times=2, turn=1)
    told = [{"role": "user", "content": "poor you"}, {"role": "assistant", "content": "x"}, USER]
    assert await demo.ask("poor you")
    assert await demo.ask("rich you")
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            await demo.ask(messages=told)
    assert await demo.ask(messages=told)


async def test_a_script_may_place_a_fault(demo: Running) -> None:
    await demo.admin("script", {"replies": [{"fault": "bad_request"}]})
    with pytest.raises(openai.BadRequestError):
        await demo.ask()


async def test_malformed_replies_are_the_same_for_the_same_seed(demo: Running) -> None:
    await demo.arm("malformed", params={"seed": 85}, times=2)
    name, status, _, body = generate(85, ("track_parcel",))
    request = json.dumps({"model": "m", "messages": [USER], "tools": [TOOL]})
    for _ in range(2):
        async with demo.session.post(f"{demo.address}/v1/chat/completions", data=request) as response:
            assert (response.status, await response.read()) == (status, body), name


def test_a_thousand_seeds_are_forty_shapes_twenty_five_times() -> None:
    made = [generate(seed)[0] for seed in range(1000)]
    assert {name: made.count(name) for name in SHAPES} == dict.fromkeys(SHAPES, 25)
    assert len(SHAPES) == 40


async def test_every_fault_can_be_sent(demo: Running) -> None:
    for name in FAULTS:
        await demo.arm(name, params={"seconds": 0})
        try:
            async with demo.session.post(
                f"{demo.address}/v1/chat/completions", json={"model": "m", "messages": [USER]}
            ) as response:
                await response.read()
        except aiohttp.ClientError:
            assert name in ("reset", "half_body", "early_end", "stall", "hang")
    faults = (await demo.admin("fault", method="GET"))["faults"]
    assert [one["fired"] for one in faults] == [1] * len(FAULTS)


# --- the process ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_at_once_even_while_a_reply_waits(service: Any, sent: signal.Signals) -> None:
    child = await service("demo_model", name=f"demo-{sent.name}", LATENCY_SECONDS="300")
    async with aiohttp.ClientSession() as session:
        running = Running(child.address, DemoModel(Ledger()), session)
        waiting = asyncio.create_task(running.ask(timeout=200))
        while not (await running.admin("ledger", method="GET"))["count"]:
            await asyncio.sleep(0.02)
        started = time.monotonic()
        child.send(sent)
        code, seconds = await child.wait(), time.monotonic() - started
        with pytest.raises(openai.APIConnectionError):
            await waiting
        assert (code, seconds < 60) == (0, True)
        await running.client.close()


async def test_a_taken_port_is_said_in_one_line(service: Any) -> None:
    child = await service("demo_model")
    second = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "demo_model", env={"PORT": str(child.port)}, stderr=asyncio.subprocess.PIPE
    )
    _, said = await second.communicate()
    assert second.returncode == 1
    assert said.decode().startswith(f"setting PORT: cannot listen on 127.0.0.1:{child.port}")
    assert said.count(b"\n") == 1
