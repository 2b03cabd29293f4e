"""What the ticket services tell of their work: spans, each once and always the same, and metrics that are true."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from runtime.postgres import migrate, provision
from standalone.ports import free_port
from tests.parts.dying_tickets import TOLD
from tests.parts.otlp import ReceivedSpan, Receiver
from tests.parts.polling import eventually
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.scrape import Samples, scrape
from tests.parts.service import Service
from tests.parts.signed import told_for
from tickets.store import MIGRATIONS

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ABOVE = "00f067aa0ba902b7"
STATES, PRIORITIES = ("assigned", "closed", "open"), ("high", "low", "normal", "urgent")
SPANS = ("SupportTicketWorkflow/run", "insert ticket", "WITH", "Notifier/deliver")

SAY_WHAT_WAS_SAID = """
CREATE FUNCTION say() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no: %', NEW.subject; END $$;
CREATE TRIGGER say BEFORE INSERT ON tickets.tickets FOR EACH ROW EXECUTE FUNCTION say()
"""

Launch = Callable[..., Awaitable[Service]]


class TracedTickets:
    """A database of its own, a webhook's receiver, a collector, and the ticket services, which tests begin and end."""

    def __init__(self, restate: RestateServer, service: Launch, postgres: PostgresServer) -> None:
        self.restate = restate
        self.collector = Receiver()
        self.metrics_port = free_port()
        self.statuses: list[int] = []
        """What the webhook's receiver answers next; then 200."""
        self.child: Service | None = None
        self.module = ""
        self._service = service
        self._postgres = postgres
        self._database = "ticket_signals"
        self._hook = free_port()

    async def build(self) -> None:
        admin = self._postgres.database(self._database)
        await provision(admin, "tickets", dict.fromkeys(("owner", "app", "staff"), "secret"))
        await migrate(admin.replace("postgres:test-password", "tickets_owner:secret"), "tickets", MIGRATIONS)
        self._app = admin.replace("postgres:test-password", "tickets_app:secret")

    async def hook(self, _: web.Request) -> web.Response:
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)

    async def start(self, module: str = "tickets", **env: str) -> Service:
        """The services as `module` runs them, told by `env`; registered, and their private handlers opened."""
        told = {
            "DATABASE_URL": self._app,
            "WEBHOOK_URL": f"http://127.0.0.1:{self._hook}/hook",
            "WEBHOOK_SECRET": SECRET,
            "METRICS_PORT": str(self.metrics_port),
            "COUNT_SECONDS": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.url,
        }
        if self.child is not None:
            await self.child.stop()
        self.module = module
        self.child = await self._service(module, **(told | env))
        for name in await self.restate.register(self.child.url, force=True):
            await request("PATCH", f"{self.restate.admin_url}/services/{name}", {"public": True})
        return self.child

    async def create(self, trace_id: str = "", key: str = "", **changes: str) -> HttpReply:
        new = {"user_id": "user_1", "subject": "Empty dashboard", "description": "A bug since this morning."} | changes
        told = told_for("SupportTicketWorkflow", new["user_id"])
        told |= {"traceparent": f"00-{trace_id}-{ABOVE}-01"} if trace_id else {}
        return await self.restate.call("SupportTicketWorkflow", "run", new, key=key or uuid.uuid4().hex, headers=told)

    async def spans(self, trace_id: str, *names: str) -> dict[str, ReceivedSpan]:
        """The spans of a trace by name, once those of these names are there and nothing runs any more."""
        await self.restate.wait_idle()

        def told(spans: list[ReceivedSpan]) -> dict[str, ReceivedSpan]:
            found = {span.name: span for span in spans if span.trace_id == trace_id}
            return found if set(names) <= set(found) else {}

        return await self.collector.wait_for(told)

    async def scraped(self, name: str) -> Samples:
        return await scrape(self.metrics_port, name)

    def sql(self, statement: str) -> str:
        return self._postgres.psql(statement, database=self._database)


@pytest.fixture(scope="module")
async def hosted(restate: RestateServer, service: Launch, postgres: PostgresServer) -> AsyncIterator[TracedTickets]:
    made = TracedTickets(restate, service, postgres)
    await made.build()
    await made.collector.start()
    app = web.Application()
    app.router.add_post("/hook", made.hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", made._hook).start()  # pyright: ignore[reportPrivateUsage]
    yield made
    await runner.cleanup()
    await made.collector.stop()


@pytest.fixture
async def tickets(hosted: TracedTickets) -> TracedTickets:
    """With the services as they are run, and a receiver that takes everything."""
    hosted.statuses = []
    if hosted.module != "tickets":
        await hosted.start()
    return hosted


def new_trace() -> str:
    return uuid.uuid4().hex


# --- spans -------------------------------------------------------------------------------------------------------


async def test_the_spans_of_a_ticket_are_nested_as_the_work_is(tickets: TracedTickets) -> None:
    trace_id = new_trace()
    ticket = (await tickets.create(trace_id)).json()
    spans = await tickets.spans(trace_id, *SPANS)
    run, insert, sql, deliver = (spans[name] for name in SPANS)
    assert (run.parent, insert.parent, deliver.parent) == (ABOVE, run.span_id, run.span_id)
    assert sql.parent == insert.span_id
    assert run.attributes["switchboard.ticket_id"] == ticket["ticket_id"]
    assert run.attributes["switchboard.invocation"].startswith("inv_")
    assert insert.attributes == {"switchboard.attempts": 1}
    assert deliver.attributes["http.response.status_code"] == 200
    assert deliver.attributes["messaging.message.id"].startswith("msg_")
    assert run.started_at <= sql.started_at <= sql.ended_at <= run.ended_at <= deliver.ended_at
    assert not [span for span in spans.values() if span.is_error or span.service != "tickets"]


async def test_without_a_callers_trace_the_workflow_begins_its_own(tickets: TracedTickets) -> None:
    before = len(tickets.collector.spans)
    ticket_id = (await tickets.create()).json()["ticket_id"]
    await tickets.restate.wait_idle()

    def whole(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
        made = [span for span in spans[before:] if span.attributes.get("switchboard.ticket_id") == ticket_id]
        return [span for span in spans if made and span.trace_id == made[0].trace_id and span.name in SPANS]

    spans = await tickets.collector.wait_for(lambda spans: whole(spans) if len(whole(spans)) == len(SPANS) else None)
    assert [span.name for span in spans if not span.parent] == ["SupportTicketWorkflow/run"]


async def test_what_belongs_to_no_call_is_not_traced(tickets: TracedTickets) -> None:
    name = "switchboard_postgres_pool_wait_seconds_count"
    before = (await tickets.scraped(name))[()]

    async def counted_again() -> bool:
        return (await tickets.scraped(name))[()] > before

    await eventually(counted_again)
    await tickets.create()
    roots = {span.name for span in tickets.collector.spans if not span.parent}
    assert roots <= {"SupportTicketWorkflow/run"}


@pytest.mark.parametrize("position", TOLD)
async def test_a_span_that_is_told_again_after_a_crash_is_the_same_span(
    hosted: TracedTickets, tmp_path: Path, position: str
) -> None:
    trace_id, died = new_trace(), tmp_path / "died"
    child = await hosted.start("tests.parts.dying_tickets", DIE_AT=position, DIED=str(died))
    answer = asyncio.create_task(hosted.create(trace_id))
    await asyncio.wait_for(child.wait(), 30)
    assert died.read_text() == position
    await asyncio.sleep(1.2)  # a time that is taken anew would differ
    await child.start()
    assert (await answer).status_code == 200
    await hosted.spans(trace_id, "SupportTicketWorkflow/run", "Notifier/deliver")

    logical = [span for span in hosted.collector.spans if span.trace_id == trace_id and span.scope == "switchboard"]
    told = [
        span for span in logical if span.name == ("Notifier/deliver" if "delivery" in position else "insert ticket")
    ]
    assert len(told) == 2
    first, again = (replace(span, resource={}) for span in told)  # another process told it
    assert first == again
    assert len({span.span_id for span in logical}) == len({span.name for span in logical}) == 3


async def test_a_ticket_that_was_begun_with_tracing_ends_without(hosted: TracedTickets, tmp_path: Path) -> None:
    key, died = uuid.uuid4().hex, tmp_path / "died"
    env = {"DIE_AT": "after the workflow's spans", "DIED": str(died)}
    child = await hosted.start("tests.parts.dying_tickets", **env)
    answer = asyncio.create_task(hosted.create(new_trace(), key))
    await asyncio.wait_for(child.wait(), 30)
    silent = dict(child.program.env) | {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}
    child.program = replace(child.program, env=silent)
    await child.start()
    assert (await answer).status_code == 200
    await hosted.restate.wait_idle()


async def test_a_refused_insert_is_an_error_that_the_caller_reads_too(tickets: TracedTickets) -> None:
    trace_id, key = new_trace(), uuid.uuid4().hex
    tickets.sql(
        "INSERT INTO tickets.tickets (workflow_key, user_id, subject, description, category, priority, sla_due_at) "
        f"VALUES ('{key}', 'user_2', 's', 'd', 'bug', 'low', now() + interval '1 d')"
    )
    reply = await tickets.create(trace_id, key)
    assert (reply.status_code, reply.json()["metadata"]) == (422, {"code": "key_taken"})
    spans = await tickets.spans(trace_id, *SPANS[:2])
    assert [(spans[name].is_error, spans[name].error) for name in SPANS[:2]] == [(True, "key_taken")] * 2


@pytest.mark.parametrize(
    ("statuses", "error", "attempts"), [([500, 429, 204], "", 3), ([503, 410], "refused", 2)], ids=["late", "refused"]
)
async def test_a_delivery_tells_its_attempts_and_the_last_word(
    tickets: TracedTickets, statuses: list[int], error: str, attempts: int
) -> None:
    trace_id = new_trace()
    before = await tickets.scraped("switchboard_notification_attempts_total")
    last = statuses[-1]
    tickets.statuses = list(statuses)
    await tickets.create(trace_id)
    span = (await tickets.spans(trace_id, "Notifier/deliver"))["Notifier/deliver"]
    assert (span.is_error, span.error) == (bool(error), error)
    assert (span.attributes["switchboard.attempts"], span.attributes["http.response.status_code"]) == (attempts, last)
    assert span.ended_at - span.started_at > attempts - 1
    after = await tickets.scraped("switchboard_notification_attempts_total")
    grown = {outcome: after[outcome,] - before[outcome,] for outcome in ("delivered", "refused", "failed")}
    assert grown == {"delivered": int(not error), "refused": int(bool(error)), "failed": attempts - 1}


async def test_a_delivery_that_has_no_address_any_more_is_an_error(hosted: TracedTickets) -> None:
    trace_id = new_trace()
    hosted.statuses = [500] * 99
    child = await hosted.start()
    await hosted.create(trace_id)
    await child.stop()
    child.program = replace(child.program, env=dict(child.program.env) | {"WEBHOOK_URL": ""})
    await child.start()
    span = (await hosted.spans(trace_id, "Notifier/deliver"))["Notifier/deliver"]
    assert (span.is_error, span.error) == (True, "no_webhook")
    hosted.module = ""


async def test_a_delivery_that_somebody_cancels_ends_as_cancelled(tickets: TracedTickets) -> None:
    tickets.statuses = [500] * 9
    await tickets.create()
    query = "SELECT id, completion_failure FROM sys_invocation WHERE target_service_name = 'Notifier'"

    async def failing() -> list[dict[str, Any]] | None:
        return await tickets.restate.query(f"{query} AND status = 'backing-off'") or None

    [delivery] = await eventually(failing)
    await request("PATCH", f"{tickets.restate.admin_url}/invocations/{delivery['id']}/cancel")
    await tickets.restate.wait_idle()
    [ended] = await tickets.restate.query(f"{query} AND id = '{delivery['id']}'")
    assert ended["completion_failure"].startswith("[409]")


async def test_what_the_customer_wrote_stands_in_no_span_no_metric_and_no_log(tickets: TracedTickets) -> None:
    trace_id, canary = new_trace(), uuid.uuid4().hex
    said = {"user_id": f"user_{canary}", "subject": f"subject {canary}", "description": f"mail {canary}@example.org"}
    tickets.statuses = [500, 410]
    await tickets.create(trace_id, **said)
    spans = await tickets.spans(trace_id, *SPANS)
    assert "VALUES ($1, $2" in spans["WITH"].attributes["db.statement"]
    tickets.sql(SAY_WHAT_WAS_SAID)
    failed = new_trace()
    creating = asyncio.create_task(tickets.create(failed, **said))
    try:
        refused = await tickets.collector.wait_for(
            lambda spans: next((span for span in spans if (span.trace_id, span.name) == (failed, "WITH")), None)
        )
    finally:
        tickets.sql("DROP TRIGGER say ON tickets.tickets")
    assert (await creating).status_code == 200
    assert (refused.is_error, refused.attributes["error.type"]) == (True, "asyncpg.exceptions.RaiseError")
    assert tickets.child is not None
    assert canary not in repr(tickets.collector.spans)
    assert canary not in tickets.child.log.read_text()
    assert not [name for name in await tickets.scraped("switchboard_attempts_total") if canary in repr(name)]


# --- metrics -----------------------------------------------------------------------------------------------------


async def test_tickets_are_counted_by_state_and_priority(tickets: TracedTickets) -> None:
    rows = ", ".join(
        f"('{state}{number}', 'user_{number}', 's', 'd', 'bug', '{priority}', '{state}', nullif('{assignee}', ''),"
        f" now() + interval '{hours} h', now() + interval '1 d')"
        for state, assignee, priority, number, hours in (
            ("new", "", "low", 1, 1),
            ("new", "", "low", 2, -1),
            ("open", "anna", "low", 3, -1),
            ("closed", "", "urgent", 4, -1),
            ("new", "", "high", 5, -1),
        )
    )
    columns = (
        "workflow_key, user_id, subject, description, category, priority, state, assignee, sla_due_at, next_look_at"
    )
    tickets.sql("TRUNCATE tickets.tickets, tickets.audit, tickets.additions, tickets.messages, tickets.words")
    tickets.sql(f"INSERT INTO tickets.tickets ({columns}) VALUES {rows}")
    expected: dict[Any, float] = dict.fromkeys(product(PRIORITIES, STATES), 0)
    expected |= {("low", "open"): 2, ("low", "assigned"): 1, ("urgent", "closed"): 1, ("high", "open"): 1}

    async def counted() -> bool:
        return await tickets.scraped("switchboard_tickets") == expected

    await eventually(counted)
    late = await tickets.scraped("switchboard_tickets_past_sla")
    assert late == {("low",): 2, ("normal",): 0, ("high",): 1, ("urgent",): 0}


async def test_tickets_that_nobody_looks_after_are_counted(tickets: TracedTickets) -> None:
    tickets.sql("TRUNCATE tickets.tickets, tickets.audit, tickets.additions, tickets.messages, tickets.words")
    for number, (state, next_look) in enumerate(
        (("new", "NULL"), ("open", "'-3 min'"), ("new", "'-1 min'"), ("closed", "NULL"), ("waiting", "'1 d'"))
    ):
        tickets.sql(
            "INSERT INTO tickets.tickets (workflow_key, user_id, subject, description, category, priority, sla_due_at, "
            f"state, next_look_at) VALUES ('left{number}', 'user_1', 's', 'd', 'bug', 'low', now() + interval '1 d', "
            f"'{state}', now() + {next_look}::interval)"
        )

    async def counted() -> bool:
        return await tickets.scraped("switchboard_tickets_left_alone") == {(): 2}

    await eventually(counted)


async def test_undelivered_notifications_are_counted_by_state(tickets: TracedTickets) -> None:
    tickets.sql("TRUNCATE tickets.notifications")
    await tickets.restate.wait_idle()
    for state, number in (("refused", 3), ("sending", 2), ("delivered", 5), ("dropped", 4)):
        tickets.sql(
            "INSERT INTO tickets.notifications (message_id, ticket_id, user_id, message, state, reason, resends) "
            f"SELECT 'msg_{state}_' || n, 'TCK-' || n, 'user_' || n, '', '{state}', 'refused', 0 "
            f"FROM generate_series(1, {number}) AS n"
        )

    async def counted() -> bool:
        told = await tickets.scraped("switchboard_notifications_undelivered")
        return told == {("refused",): 3, ("wanted",): 0, ("sending",): 2}

    await eventually(counted)
    tickets.sql("TRUNCATE tickets.notifications")


async def test_counts_are_absent_while_the_database_is_away(tickets: TracedTickets, postgres: PostgresServer) -> None:
    async def present() -> Samples | None:
        return await tickets.scraped("switchboard_tickets") or None

    await eventually(present)
    await postgres.stop("immediate")
    try:
        for name in ("switchboard_tickets", "switchboard_tickets_past_sla"):

            async def absent(name: str = name) -> bool:
                return not await tickets.scraped(name)

            await eventually(absent)
        assert (await tickets.scraped("switchboard_postgres_errors_total"))["away",] > 0
    finally:
        await postgres.start()
    assert len(await eventually(present, 20)) == len(STATES) * len(PRIORITIES)


async def test_a_ticket_is_counted_once_and_its_delivery_timed(tickets: TracedTickets) -> None:
    names = ("switchboard_tickets_created_total", "switchboard_notification_delay_seconds_count")
    made, told = [await tickets.scraped(name) for name in names]
    await tickets.create(category="billing", urgency="high")
    await tickets.restate.wait_idle()
    made_after, told_after = [await tickets.scraped(name) for name in names]
    assert {labels: made_after[labels] - made[labels] for labels in made if made_after[labels] != made[labels]} == {
        ("billing", "high"): 1
    }
    assert told_after[()] - told[()] == 1


async def test_every_label_is_there_before_its_first_event(tickets: TracedTickets) -> None:
    await tickets.start()
    made = await tickets.scraped("switchboard_tickets_created_total")
    assert len(made) == 8 * 4
    assert set(made.values()) == {0}
    assert set(await tickets.scraped("switchboard_notification_attempts_total")) == {
        ("delivered",),
        ("refused",),
        ("failed",),
    }


async def test_the_services_tell_the_use_of_their_pool(tickets: TracedTickets) -> None:
    await tickets.create()
    assert await tickets.scraped("switchboard_postgres_pool_limit") == {(): 8}
    connections = await tickets.scraped("switchboard_postgres_pool_connections")
    assert set(connections) == {("used",), ("idle",)}
    assert sum(connections.values()) >= 1
    assert (await tickets.scraped("switchboard_postgres_pool_wait_seconds_count"))[()] > 0
