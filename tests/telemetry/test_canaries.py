"""No words of a customer, no secret: each input holds a string of its own, and what the rooms emit is searched for it.

One world of real parts, with a replay at every await, is driven through good and bad ends. Then its log files, its
spans and its metrics are read.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import jwt
import pytest
from aiohttp import web

from standalone.ports import free_port
from standalone.signals import LOG_EVENTS
from tests.conftest import start
from tests.parts.board import Board, calls, text, until
from tests.parts.otlp import ReceivedSpan, Receiver
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service
from users import store
from users.demo import demo_customers

Launch = Callable[..., Awaitable[Service]]

INPUTS = (
    *("message", "email", "sub", "role", "claim", "caller_key", "api_key", "otlp_key"),
    *("users_password", "tickets_password", "wrong_password", "webhook_token", "header", "idempotency_key"),
    *("bad_json", "bad_field", "bad_type", "bad_token", "private"),
    *("subject", "description", "arguments", "bad_arguments", "broken_arguments", "made_up_tool", "refused_row"),
    *("row_name", "row_email", "row_error", "tool_bug", "step_bug", "tool_refusal", "chatter", "slow_argument"),
    *("reply", "model_error", "model_refusal", "retry_after", "malformed", "not_json"),
)
REFUSED = "may not be stored"
TALKING_TRIGGER = (
    f"""CREATE FUNCTION tickets.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.subject = '{REFUSED}' THEN RAISE EXCEPTION 'no: %', NEW.description; END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER refuse BEFORE INSERT ON tickets.tickets FOR EACH ROW EXECUTE FUNCTION tickets.refuse()",
)
OPT_IN = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@dataclass
class CanaryWorld:
    """Running parts, the strings that went into them, and what came out."""

    board: Board
    spans: Receiver
    database: PostgresServer
    canaries: dict[str, str]
    rooms: dict[str, Service]
    metrics: dict[str, int]
    commands: list[str] = field(default_factory=list[str])
    pages: str = ""
    key: str = ""

    def __getitem__(self, name: str) -> str:
        return self.canaries[name]

    @property
    def token(self) -> str:
        now = time.time()
        claims = {"sub": self["sub"], "aud": "switchboard", "iat": now, "exp": now + 600, "email": self["claim"]}
        return jwt.encode(claims | {"roles": [self["role"]]}, self.key, "HS256")

    async def ask(self, *replies: dict[str, Any], **options: Any) -> HttpReply:
        topic = f"topic {token_hex(8)}"
        script = {"match": topic, "replies": list(replies)}
        reply = await request("POST", f"{self.board.model.url}/admin/script", script)
        assert reply.status_code == 200, reply.text
        message = f"I am {self['message']}, write to {self['email']}@example.org about {topic}"
        question = {"message": message, "caller_token": self.token}
        return await self.board.restate.call("ToolRouter", "route", question, **options)

    async def answer(self, *replies: dict[str, Any], outcome: str = "answered", **options: Any) -> dict[str, Any]:
        reply = await self.ask(*replies, **options)
        assert reply.status_code == 200, reply.text
        assert reply.json()["outcome"] == outcome, reply.text
        return reply.json()

    async def route(self, body: Any) -> int:
        return (await self.board.restate.call("ToolRouter", "route", body)).status_code

    def lines(self) -> list[dict[str, Any]]:
        """The lines of all rooms."""
        return [json.loads(line) for line in self.log().splitlines()]

    def log(self) -> str:
        return "".join(room.log.read_text() for room in self.rooms.values())

    def found_in(self, told: str) -> set[str]:
        """The inputs of which something stands in a text."""
        told = told.lower()
        return {name for name, canary in self.canaries.items() if canary.lower() in told}


# --- the world -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def spans() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest.fixture(scope="module")
async def webhooks() -> AsyncIterator[str]:
    """Where notifications go: refused at first, then taken."""
    port, replies = free_port(), [500]

    async def take(_: web.Request) -> web.Response:
        return web.Response(status=replies.pop() if replies else 200)

    app = web.Application()
    app.router.add_post("/{token}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


@pytest.fixture(scope="module")
async def world(
    tmp_path_factory: pytest.TempPathFactory, service: Launch, spans: Receiver, webhooks: str
) -> AsyncIterator[CanaryWorld]:
    folder = tmp_path_factory.mktemp("canaries")
    canaries = {name: f"canary{token_hex(8)}" for name in INPUTS}
    tracing = {"RESTATE_TRACING_ENDPOINT": f"otlp+{spans.url}/v1/traces"}
    restate = RestateServer(folder, always_replay=True, env=tracing)
    database = PostgresServer(folder, free_port(), "test-password")
    await asyncio.gather(start(restate), start(database))
    world = await build(restate, database, service, spans, webhooks, canaries)
    await drive(world)
    world.pages = await pages(world)
    for room in world.rooms.values():
        await room.stop()
    yield world
    await database.stop("immediate")
    await restate.kill()


async def build(
    restate: RestateServer,
    database: PostgresServer,
    service: Launch,
    spans: Receiver,
    webhooks: str,
    canaries: dict[str, str],
) -> CanaryWorld:
    rooms: dict[str, Service] = {}
    metrics: dict[str, int] = {}
    collector = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": spans.url,
        "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={canaries['otlp_key']}",
    }

    async def launch(name: str, module: str = "", **env: str) -> Service:
        metrics[name] = free_port()
        rooms[name] = await service(module or name, METRICS_PORT=str(metrics[name]), **env)
        return rooms[name]

    model = await launch("demo_model")
    board = Board(restate, model, model, model, model, launch)
    world = CanaryWorld(
        board, spans, database, canaries, rooms, metrics, key=f"{canaries['caller_key']}-of-32-bytes-and-more"
    )
    urls = await databases(world)
    registry = await launch("registry", RESTATE_ADMIN_URL=restate.admin_url, CATALOGUE_POLL_SECONDS="0.3")
    await launch("users", **collector, **urls["users"])
    await launch(
        "tickets",
        **collector,
        **urls["tickets"],
        WEBHOOK_URL=f"{webhooks}/{canaries['webhook_token']}",
        WEBHOOK_SECRET="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    canaries["webhook_secret"] = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    await launch("leaky", "tests.parts.leaky_tools", **collector)
    settings = {
        "OPENAI_BASE_URL": f"{model.url}/v1",
        "OPENAI_API_KEY": canaries["api_key"],
        "CATALOGUE_URL": f"{registry.url}/tools",
        "CATALOGUE_SECONDS": "0.3",
        "CALLER_KEYS": world.key,
    } | collector
    await launch("router", **settings)
    for name in ("users", "tickets", "leaky", "router"):
        await restate.register(rooms[name].url)
    await until(lambda: offered(registry))
    await asyncio.sleep(0.5)  # one poll of the router's
    await launch("telling_router", "router", **settings, **{OPT_IN: "true"})
    return world


async def databases(world: CanaryWorld) -> dict[str, dict[str, str]]:
    """Schemas made by the rooms' own commands, and a customer whose rows hold canaries."""
    settings: dict[str, dict[str, str]] = {}
    for room, kinds in {"users": ("owner", "app"), "tickets": ("owner", "app", "staff")}.items():
        password = world[f"{room}_password"]
        admin = world.database.database(f"canaries_{room}")
        passwords = {f"{room}_{kind}_password".upper(): password for kind in kinds}
        owner, app = (admin.replace("postgres:test-password", f"{room}_{kind}:{password}") for kind in kinds[:2])
        assert await command(world, room, "provision", ADMIN_DATABASE_URL=admin, **passwords) == 0
        assert await command(world, room, "migrate", MIGRATION_DATABASE_URL=owner) == 0
        wrong = owner.replace(password, world["wrong_password"])
        assert await command(world, room, "migrate", MIGRATION_DATABASE_URL=wrong) == 1
        settings[room] = {"DATABASE_URL": app}
        if room == "users":
            await store.replace_customers(owner, {world["sub"]: customer(world)})
        else:
            world.database.psql(*TALKING_TRIGGER, database=f"canaries_{room}")
    return settings


def customer(world: CanaryWorld) -> store.Rows:
    told = json.dumps(demo_customers(datetime.now(UTC))["user_12345"], default=str)
    rows = json.loads(told.replace("user_12345", world["sub"]))
    rows["customers"][0] |= {"name": world["row_name"], "email": f"{world['row_email']}@example.org"}
    for error in rows["api_errors"]:
        error["message"] = world["row_error"]
    for invoice in rows["invoices"]:
        invoice["invoice_id"] += "-of-canary"
    return rows


async def command(world: CanaryWorld, room: str, name: str, **env: str) -> int:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", room, name), env=os.environ | env, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    world.commands.append(said.decode())
    return process.returncode or 0


async def offered(registry: Service) -> bool:
    reply = await request("GET", f"{registry.url}/tools")
    names = {tool["name"] for tool in reply.json()["tools"]} if reply.status_code == 200 else set[str]()
    return {"explode", "query_user_database", "create_support_ticket"} <= names


# --- what happens in it --------------------------------------------------------------------------------------------


async def drive(world: CanaryWorld) -> None:
    await ask_well(world)
    await ask_badly(world)
    await let_tools_fail(world)
    await let_a_row_be_refused(world)
    await let_the_model_fail(world)
    await let_the_database_go(world)
    await world.board.restate.wait_idle()
    await world.board.restate.register(world.rooms["telling_router"].url)
    await ask_well(world)
    await world.board.restate.wait_idle()
    await world.spans.wait_for(lambda spans: [span for span in spans if world["reply"] in repr(span)])
    await world.spans.named("Notifier/deliver")


def helpful(world: CanaryWorld) -> tuple[dict[str, Any], dict[str, Any]]:
    ticket = {"subject": world["subject"], "description": world["description"]}
    account, articles = ("query_user_database", {}), ("search_help_articles", {"query": world["arguments"]})
    return calls(account, articles, ("create_support_ticket", ticket)), text(world["reply"])


async def ask_well(world: CanaryWorld) -> None:
    header = world["header"]
    headers = {
        "authorization": f"Bearer {header}",
        "cookie": f"session={header}",
        "tracestate": f"vendor={header}",
        "baggage": f"user={header}",
        "x-switchboard-run": header,
        "x-switchboard-call": header,
        "x-switchboard-token": header,
        "traceparent": f"00-{token_hex(16)}-{token_hex(8)}-01",
    }
    key = f"{world['idempotency_key']}-{token_hex(4)}"
    told = await world.answer(*helpful(world), headers=headers, idempotency_key=key)
    assert [call["status"] for call in told["calls"]] == ["ok", "ok", "ok"]
    assert told["text"] == world["reply"]


async def ask_badly(world: CanaryWorld) -> None:
    asked = {"message": "hello", "caller_token": world.token}
    assert await world.route(f'{{"message": {world["bad_json"]}'.encode()) == 400
    assert await world.route(asked | {world["bad_field"]: 1}) == 422
    assert await world.route(asked | {"message": [world["bad_type"]]}) == 422
    assert await world.route(asked | {"caller_token": world["bad_token"]}) == 401
    assert (await world.board.restate.call("Leaky", "explode", {"text": world["private"]})).status_code == 400


async def let_tools_fail(world: CanaryWorld) -> None:
    wanted = [
        (world["made_up_tool"], {}),
        ("explode", {"text": 1, world["bad_arguments"]: 1}),
        ("explode", f"{{{world['broken_arguments']}"),
        ("explode", {"text": world["tool_bug"]}),
        ("explode_in_step", {"text": world["step_bug"]}),
        ("refuse_aloud", {"text": world["tool_refusal"]}),
        ("chatter", {"text": world["chatter"]}),
        ("dawdle", {"text": world["slow_argument"]}),
    ]
    told = await world.answer(calls(*wanted[:5]), calls(*wanted[5:]), text("done"), outcome="errors_exhausted")
    assert Counter(call["status"] for call in told["calls"]) == {"error": 6, "ok": 2}


async def let_a_row_be_refused(world: CanaryWorld) -> None:
    """A ticket that was accepted waits until its row is taken."""
    ticket = {"subject": REFUSED, "description": world["refused_row"]}
    asked = asyncio.create_task(world.answer(calls(("create_support_ticket", ticket)), text("done")))
    await until(lambda: logged(world, "statement_refused"))
    world.database.psql("DROP TRIGGER refuse ON tickets.tickets", database="canaries_tickets")
    await asked


async def let_the_model_fail(world: CanaryWorld) -> None:
    def error(status: int, said: str, **headers: str) -> dict[str, Any]:
        return {"status": status, "body": {"error": {"message": said, "code": said, "param": said}}, "headers": headers}

    odd = {"Retry-After": world["retry_after"]}
    await world.answer(error(500, world["model_error"]), outcome="model_unavailable")
    await world.answer(error(400, world["model_refusal"]), outcome="model_misconfigured")
    await world.answer(error(429, world["retry_after"], **odd), outcome="model_unavailable")
    await world.answer({"status": 200, "body": {"choices": world["malformed"]}}, outcome="model_unavailable")
    await world.answer({"status": 200, "body": world["not_json"]}, outcome="model_unavailable")


async def let_the_database_go(world: CanaryWorld) -> None:
    await world.database.stop()
    asked = asyncio.create_task(world.answer(*helpful(world)))
    await until(lambda: logged(world, "database_away"))
    await world.database.start()
    await asked


async def logged(world: CanaryWorld, event: str) -> bool:
    return any(line["event"] == event for line in world.lines())


async def pages(world: CanaryWorld) -> str:
    """What Prometheus reads, in both of its formats: exemplars are in the second."""
    urls = [f"http://127.0.0.1:{port}/metrics" for port in world.metrics.values()]
    formats = ("text/plain", "application/openmetrics-text; version=1.0.0")
    replies = [await request("GET", url, headers={"Accept": accept}) for url in urls for accept in formats]
    assert {reply.status_code for reply in replies} == {200}
    return "\n".join(reply.text for reply in replies)


# --- the claims ----------------------------------------------------------------------------------------------------


def test_everything_happened(world: CanaryWorld) -> None:
    lines = world.lines()
    said = Counter(line["event"] for line in lines)
    for event in ("model_refused", "model_call_failed", "statement_refused", "database_away", "turn_decided"):
        assert said[event], event
    assert said["ticket_created"] == said["notification_delivered"] == 4
    exceptions = [line["exception"][-1] for line in lines if "exception" in line]
    assert {"ValueError", "NotDelivered"} <= set(exceptions)
    assert {line["text"] for line in lines if line["logger"] == "chatty.library" and "text" in line} == {"asked for %s"}
    assert 'switchboard_tool_errors_total{kind="unknown_tool",tool="not_on_offer"} 1.0' in world.pages


def test_no_log_line_holds_anything_that_came_in(world: CanaryWorld) -> None:
    """But for an endpoint's own words on why it refuses a request, without what was sent: an operator needs them."""
    assert world.found_in(world.log()) == {"model_refusal"}
    assert world.found_in("".join(world.commands)) == set()


def test_no_metric_holds_anything_that_came_in(world: CanaryWorld) -> None:
    assert "# EOF" in world.pages
    assert world.found_in(world.pages) == set()


def test_no_span_holds_anything_that_came_in(world: CanaryWorld) -> None:
    assert of_rooms(world.spans.spans, telling=False)
    assert found_in_spans(world, of_rooms(world.spans.spans, telling=False)) == {}


def test_content_is_in_the_spans_of_the_router_that_was_told_to_and_nowhere_else(world: CanaryWorld) -> None:
    told = found_in_spans(world, of_rooms(world.spans.spans, telling=True))
    assert set(told) == {
        "message",
        "email",
        "sub",
        "subject",
        "description",
        "arguments",
        "row_name",
        "row_error",
        "reply",
    }
    assert {name for names in told.values() for name in names} <= {"invoke_agent", "chat", "execute_tool"}


def test_restates_spans_repeat_what_a_tool_says_when_it_fails_for_good_and_nothing_else(world: CanaryWorld) -> None:
    spans = [span for span in world.spans.spans if span.service == "Restate"]
    assert set(found_in_spans(world, spans)) == {"tool_bug", "tool_refusal"}


def of_rooms(spans: Iterable[ReceivedSpan], *, telling: bool) -> list[ReceivedSpan]:
    rooms = [span for span in spans if span.service != "Restate"]
    runs = {span.trace_id for span in rooms if "gen_ai.input.messages" in span.attributes}
    return [span for span in rooms if (span.trace_id in runs) == telling]


def found_in_spans(world: CanaryWorld, spans: Iterable[ReceivedSpan]) -> dict[str, set[str]]:
    """Each input that was found, with the first words of the names of the spans that hold it."""
    found: dict[str, set[str]] = {}
    for span in spans:
        for name in world.found_in(repr(span)):
            found.setdefault(name, set()).add(span.name.split()[0])
    return found


def test_every_line_is_of_the_table_and_has_its_fields_alone(world: CanaryWorld) -> None:
    known = {event.name: {*event.fields} for event in LOG_EVENTS}
    everywhere = {"time", "level", "logger", "event", "service", "invocation", "run", "call", "trace"}
    for line in world.lines():
        assert line.keys() - everywhere <= known[line["event"]], line


def test_a_line_names_its_run_its_call_and_its_trace_in_every_room(world: CanaryWorld) -> None:
    created = [line for line in world.lines() if line["event"] == "ticket_created"]
    for line in created:
        (decided, *_) = [each for each in world.lines() if each.get("invocation") == line["run"]]
        assert decided["event"] == "turn_decided"
        assert decided["run"] == decided["invocation"] != line["invocation"]
        assert decided["trace"] == line["trace"]
        (settled,) = [each for each in world.lines() if each["event"] == "call_settled" and is_of(each, line)]
        assert settled["tool"] == "create_support_ticket"
        (delivered,) = [
            each for each in world.lines() if each["event"] == "notification_delivered" and is_of(each, line)
        ]
        assert delivered["trace"] == line["trace"]
        assert [span for span in world.spans.spans if span.trace_id == line["trace"]]


def test_what_broke_down_names_its_run_and_its_call(world: CanaryWorld) -> None:
    broken = [line for line in world.lines() if "ValueError" in line.get("exception", [])]
    assert len(broken) == 2  # however often each was tried
    assert all(line["run"] != line["invocation"] and line["call"] for line in broken)


def test_a_planned_retry_is_one_line(world: CanaryWorld) -> None:
    said = [line for line in world.lines() if line["event"] == "library_line" and line["service"] != "leaky"]
    assert {line["exception"][-1] for line in said} == {"NotDelivered"}


def is_of(line: dict[str, Any], other: dict[str, Any]) -> bool:
    return (line["run"], line["call"]) == (other["run"], other["call"])


def test_a_replay_writes_nothing_again(world: CanaryWorld) -> None:
    """Every await was replayed; what is left are the turns and calls, once each."""
    once = [line for line in world.lines() if line["event"] in ("turn_decided", "call_settled")]
    written = Counter((line["run"], line["event"], line.get("turn") or line["call"]) for line in once)
    assert written
    assert set(written.values()) == {1}
