"""Proven for real: every alert fires in a scenario made for it, every panel has data, and the table of signals is true.

The tests go on from one another: a quiet time, then one failure after the other, then what was seen of it all.
"""

import asyncio
import json
import math
import re
import shutil
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
import asyncpg
import jwt
import pytest

from runtime.telemetry.signals import Signal
from standalone.ports import free_port
from standalone.signals import METRICS, SPANS
from tests.parts.board import calls
from tests.parts.dashboards import Query, queries
from tests.parts.otlp import ReceivedSpan
from tests.parts.polling import eventually
from tests.parts.restate import request
from tests.telemetry import scaled
from tests.telemetry.conftest import STAFF_KEY, USER, Stage
from tests.telemetry.scaled import ALERTS, Rule

pytestmark = pytest.mark.timeout(120)

QUESTIONS = (
    "My API calls are failing, what's wrong with my account?",
    "Is there an outage affecting the payment service?",
    "I need to report a bug with the dashboard, please create a ticket",
    "What's my current subscription plan and usage limits?",
)
BROKEN = ("break_down", {"text": "x"})
REFUSED = ("refuse", {"text": "x"})
TICKET = ("create_support_ticket", {"subject": "Empty dashboard", "description": "It shows a bug since today."})
ACCOUNT = ("query_user_database", {})

QUIET_SECONDS = 6.0

ZERO_WHEN_WELL = {
    "switchboard-platform/Restate/C": "nodes that are not alive: the only one is, or nobody is asked",
    "switchboard-platform/Restate/D": "partitions without a leader: a single node leads all of them",
}
"""Queries whose answer was 0 all the time, and why."""


async def test_nothing_fires_while_the_four_questions_are_answered(stage: Stage) -> None:
    began = time.time()
    while time.time() - began < QUIET_SECONDS:
        assert [await stage.outcome(question) for question in QUESTIONS] == ["answered"] * len(QUESTIONS)
    await stage.after_scrapes(3)
    assert await stage.fired(stage.began) == set()


async def test_each_alert_was_loaded_without_an_error(stage: Stage) -> None:
    rules = await stage.prometheus.rules()
    assert {rule["health"] for rule in rules} == {"ok"}
    assert {rule["name"] for rule in rules} == {path.stem for path in ALERTS.glob("*.yaml")}


# --- the failures --------------------------------------------------------------------------------------------------


async def test_a_model_that_refuses_the_key(stage: Stage) -> None:
    await stage.model("fault", {"name": "unauthorized", "times": 100_000})
    rules = [
        Rule(name, severity) for name in ("RunsFailing", "ModelUnavailable") for severity in ("critical", "warning")
    ]
    await stage.until_fires(*rules, doing=lambda: stage.outcome("hello"))
    await stage.model("reset", {})


async def test_a_model_that_answers_late(stage: Stage) -> None:
    await stage.model("latency", {"seconds": 1.3})

    async def ask() -> None:
        await asyncio.gather(*(stage.outcome("hello") for _ in range(8)))

    await stage.until_fires(Rule("AnswersSlow", "warning"), Rule("AnswersSlow", "critical"), doing=ask)
    await stage.model("reset", {})


async def test_tools_that_break_or_refuse(stage: Stage) -> None:
    broken, refused = await stage.scripted_calls(BROKEN, BROKEN), await stage.scripted_calls(REFUSED, REFUSED)

    async def ask() -> None:
        await asyncio.gather(*(stage.outcome(message) for message in (broken, refused)))

    await stage.until_fires(Rule("ToolErrors", "critical"), Rule("ToolErrors", "warning"), doing=ask)
    firing = await stage.firing()
    assert {each["tool"] for each in firing[Rule("ToolErrors", "critical")]} == {"break_down"}
    assert {each["kind"] for each in firing[Rule("ToolErrors", "warning")]} == {"failed", "refused"}


async def test_arguments_in_a_wrong_form(stage: Stage) -> None:
    message = await stage.scripted_calls(("list_my_tickets", {"limit": "3"}))
    assert await stage.outcome(message) == "answered"


async def test_a_question_that_grows_too_long_for_the_model(stage: Stage) -> None:
    message = await stage.script(calls(ACCOUNT), calls(ACCOUNT), {"text": "That is it."})
    await stage.model("fault", {"name": "context_length", "match": message, "turn": 2})
    assert await stage.outcome(message) == "answered"


async def test_a_defect(stage: Stage) -> None:
    message = await stage.scripted_calls(ACCOUNT)
    await stage.run_as("users", "tests.parts.broken_rooms", BREAK_UNTIL="", ROOM="users")
    await stage.until_fires(Rule("Defect", "warning"), doing=lambda: stage.outcome(message))
    await stage.run_as("users", "users")
    assert await stage.outcome(message) == "answered"


async def test_receivers_of_webhooks_that_are_down(stage: Stage) -> None:
    stage.hook.status = 503
    message = await stage.scripted_calls(TICKET)
    await asyncio.gather(*(stage.outcome(message) for _ in range(6)))
    await stage.until_fires(
        Rule("NotificationsStuck", "warning"),
        Rule("NotificationsStuck", "warning", "receiver"),
        Rule("NotificationsStuck", "critical"),
    )
    stage.postgres.psql(
        "INSERT INTO tickets.notifications (message_id, ticket_id, user_id, message, state, reason, resends) "
        "VALUES ('msg_left', 'TCK-000000', 'user_1', '', 'wanted', 'refused', 0)"
    )
    await stage.until_fires(Rule("NotificationsUndelivered", "warning", "resender"))
    stage.postgres.psql("DELETE FROM tickets.notifications")
    stage.hook.status = 410
    await stage.outcome(message)
    await stage.until_fires(Rule("NotificationsUndelivered", "warning"))
    await stage.after_scrapes(2)
    stage.postgres.psql("TRUNCATE tickets.notifications")
    stage.hook.status = 200


async def test_tickets_that_nobody_has_answered_in_time(stage: Stage) -> None:
    change = (
        "UPDATE tickets.tickets SET sla_due_at = now() {}, "
        "priority = CASE number % 2 WHEN 0 THEN 'urgent' ELSE 'low' END"
    )
    stage.postgres.psql(change.format("- interval '1 hour'"))
    await stage.until_fires(Rule("TicketsPastSla", "critical"), Rule("TicketsPastSla", "warning"))
    await stage.after_scrapes(3)
    stage.postgres.psql(change.format("+ interval '1 day'"))


async def test_tickets_that_nobody_looks_after(stage: Stage) -> None:
    change = "UPDATE tickets.tickets SET next_look_at = now() {} WHERE state <> 'closed'"
    stage.postgres.psql(change.format("- interval '1 hour'"))
    await stage.until_fires(Rule("TicketsLeftAlone", "warning"))
    await stage.after_scrapes(3)
    stage.postgres.psql(change.format("+ interval '1 day'"))


async def test_work_that_gave_up(stage: Stage) -> None:
    probe = await stage.launch("tests.parts.probe", SERVICE_NAME="Probe")
    await stage.restate.register(probe.url)
    await stage.restate.call("Probe", "give_up", {"words": "this"}, send=True)
    await stage.until_fires(Rule("WorkPaused", "warning"))
    await stage.prometheus.wait_for('switchboard_invocations_stuck{status="paused", reason!=""} > 0')
    await stage.prometheus.wait_for('switchboard_invocations_ended_total{service="Probe"} > 0')
    await stage.prometheus.wait_for(
        'ALERTS{alertname="WorkPaused", service="Probe"} unless on () switchboard_invocations{status="paused"} > 0'
    )


async def test_a_version_that_drains(stage: Stage) -> None:
    former, newer = await asyncio.gather(*(stage.launch("tests.parts.probe", SERVICE_NAME="Drained") for _ in range(2)))
    await stage.restate.register(former.url)
    sent = await stage.restate.call("Drained", "wait", send=True)
    await stage.restate.register(newer.url)
    await stage.until_fires(Rule("VersionDrainingTooLong", "warning"))
    await request("PATCH", f"{stage.restate.admin_url}/invocations/{sent.json()['invocationId']}/kill")


async def test_a_registration_that_restate_refuses(stage: Stage) -> None:
    keyed = await stage.launch("tests.parts.probe", SERVICE_NAME="Drained", KEYED="true")
    await stage.run_with("registry", DEPLOYMENTS=f"refused={keyed.url}")
    await stage.until_fires(Rule("RegistrationRefused", "warning"), Rule("RegistrationRefused", "critical"))
    await stage.prometheus.wait_for('switchboard_registration_failures_total{deployment="refused"} > 0')
    await stage.services["registry"].stop()
    await stage.until_fires(Rule("OldestWorkTooOld", "warning", "registry"))
    await stage.run_with("registry", DEPLOYMENTS=stage.deployments())
    await stage.prometheus.wait_for("min(switchboard_deployment_registered) == 1")


async def test_a_service_that_moved(stage: Stage) -> None:
    users = dict(pair.split("=", 1) for pair in stage.deployments().split(","))["users"]
    thief = await stage.launch("tests.parts.probe", SERVICE_NAME="UserDatabase", TOOL="query_user_database")
    await stage.restate.register(thief.url)
    await stage.until_fires(Rule("ToolWithdrawn", "warning"))
    await stage.restate.register(users, force=True)
    await stage.prometheus.wait_for('switchboard_tools{state="withdrawn"} == 0')


async def test_a_clock_that_is_wrong(stage: Stage) -> None:
    await stage.run_as("users", "tests.parts.shifted_rooms", ROOM="users", CLOCK_SHIFT="-40")
    await stage.until_fires(Rule("ClockSkewed", "warning"))
    await stage.run_as("users", "users")
    await stage.prometheus.wait_for("max(abs(switchboard_clock_skew_seconds)) < 5")


async def test_a_pool_without_a_free_connection(stage: Stage) -> None:
    message = await stage.scripted_calls(ACCOUNT)
    asked = [asyncio.create_task(stage.ask(message)) for _ in range(16)]
    holder = await asyncpg.connect(stage.postgres.url("postgres"))
    async with holder.transaction():
        await holder.execute("LOCK TABLE users.customers IN ACCESS EXCLUSIVE MODE")
        asked += [asyncio.create_task(stage.ask(message)) for _ in range(16)]
        await stage.until_fires(Rule("PoolExhausted", "warning"), Rule("PoolExhausted", "critical"))
    await holder.close()
    assert {(await each).json()["outcome"] for each in asked} == {"answered"}


async def test_a_database_that_is_away(stage: Stage) -> None:
    message = await stage.scripted_calls(ACCOUNT)
    await stage.postgres.stop("immediate")
    asked = [asyncio.create_task(stage.ask(message)) for _ in range(6)]
    await stage.until_fires(Rule("OldestWorkTooOld", "warning"), Rule("OldestWorkTooOld", "critical"))
    assert not await stage.prometheus.query("switchboard_tickets"), "an old number is told"
    await stage.postgres.start()
    assert {(await each).json()["outcome"] for each in asked} == {"answered"}


async def test_a_restate_that_is_away(stage: Stage) -> None:
    assert await orphans(stage) == set()  # what it has not sent when it ends, Restate may lose
    await stage.restate.stop()
    await stage.until_fires(Rule("OldestWorkTooOld", "critical", "restate"))
    assert not await stage.prometheus.query("switchboard_invocations"), "an old number is told"
    await stage.restate.start()
    await stage.prometheus.wait_for("switchboard_restate_reachable == 1", seconds=30)


async def test_a_budget_a_retry_and_calls_that_the_model_got_wrong(stage: Stage) -> None:
    retried = await stage.script({"text": "ok"})
    await stage.model("fault", {"name": "server_error", "match": retried})
    assert await stage.outcome(retried) == "answered"
    for_ever = await stage.script(calls(("echo", {"text": "again"})))
    assert (await stage.outcome(for_ever)).endswith("_exhausted")
    wrong = await stage.scripted_calls(("made_up", {}), ("echo", {"text": 5}), ("slow_read", {"seconds": 5}))
    assert await stage.outcome(wrong) == "answered"
    await stage.after_scrapes(2)


async def test_a_conversation_that_is_watched(stage: Stage) -> None:
    talk = f"conv_{uuid.uuid4().hex}"
    await say(stage, talk, "Is there an outage affecting the payment service?")
    async with watching(stage, talk) as events:
        await until(events, "run_ended")
        await stage.prometheus.wait_for("switchboard_watchers == 1")
        await say(stage, talk, "And what is my current subscription plan, with all its limits?")
        await until(events, "run_ended")
    await stage.after_scrapes(2)


async def test_a_conversation_to_which_no_person_comes(stage: Stage) -> None:
    await say(stage, f"conv_{uuid.uuid4().hex}", "I want to talk to a human, please, about my invoice.")
    await stage.prometheus.wait_for("sum(switchboard_nobody_came_total) == 1")
    await stage.until_fires(Rule("NobodyTakesOver", "warning"), Rule("NobodyTakesOver", "critical"))


async def test_a_call_that_a_person_has_to_approve(stage: Stage) -> None:
    refund = ("refund_invoice", {"invoice_id": "INV-12345-006"})
    assert await stage.outcome(await stage.scripted_calls(refund)) == "answered"
    await stage.until_fires(Rule("ApprovalsWaiting", "warning"), Rule("ApprovalsWaiting", "critical"))
    now = int(time.time())
    claims = {"sub": "anna", "aud": "switchboard-staff", "iat": now, "exp": now + 300, "roles": ["approver"]}
    by_staff = {"staff_token": jwt.encode(claims, STAFF_KEY, "HS256")}
    (waiting,) = (await stage.restate.call("Approvals", "list", by_staff)).json()["approvals"]
    shown = by_staff | {"approval_id": waiting["approval_id"]}
    digest = (await stage.restate.call("Approvals", "show", shown)).json()["digest"]
    denied = {"digest": digest, "choice": "deny", "reason": "It was refunded by hand."}
    assert (await stage.restate.call("Approvals", "decide", shown | denied)).status_code == 200
    await stage.prometheus.wait_for('switchboard_approval_decisions_total{status="denied"} == 1')
    await stage.prometheus.wait_for('switchboard_approvals{status="denied"} == 1')


async def test_events_that_watchers_see_late(stage: Stage) -> None:
    talk = f"conv_{uuid.uuid4().hex}"
    await say(stage, talk, await stage.script({"text": "At last.", "latency_seconds": 60}))
    reader = await asyncpg.connect(stage.postgres.url("postgres"))

    async def write_while_nobody_can_read() -> None:
        async with reader.transaction():
            await reader.execute("LOCK TABLE conversations.live IN ACCESS EXCLUSIVE MODE")
            await say(stage, talk, "And what else is there to say about it, please?")
            await asyncio.sleep(1.6)

    async with watching(stage, talk) as events:
        await until(events, "run_started")
        await stage.until_fires(Rule("EventsLate", "warning"), doing=write_while_nobody_can_read)
        await reader.close()
        await say(stage, talk, "stop")
        await until(events, "run_ended")
    await stage.prometheus.wait_for('switchboard_runs_total{outcome="stopped"} > 0')


async def test_events_that_are_refused_and_a_conversation_that_has_to_wait(stage: Stage) -> None:
    talk, right = f"conv_{uuid.uuid4().hex}", "EXECUTE ON FUNCTION conversations.append_events"
    stage.postgres.psql(f"REVOKE {right} FROM conversations_router")
    await say(stage, talk, QUESTIONS[0])
    await stage.until_fires(Rule("EventsLate", "warning", "router"))
    stage.postgres.psql(f"GRANT {right} TO conversations_router")
    holder = await asyncpg.connect(stage.postgres.url("postgres"))
    async with holder.transaction():
        await holder.execute("LOCK TABLE conversations.conversations IN ACCESS EXCLUSIVE MODE")
        waiting = asyncio.create_task(say(stage, talk, QUESTIONS[1]))
        await stage.prometheus.wait_for('switchboard_invocation_oldest_seconds{service="Conversation"} > 4')
    await holder.close()
    await waiting


async def test_an_effect_that_refuses_to_be_undone(stage: Stage) -> None:
    talk = f"conv_{uuid.uuid4().hex}"
    marked = calls(("mark", {"name": "it", "undo": "refuse"}))
    await say(stage, talk, await stage.script(marked, {"text": "Never said.", "latency_seconds": 60}))
    async with watching(stage, talk) as events:
        await until(events, "tool_finished")
        await say(stage, talk, "Forget it, and say what else there is to know.", when_busy="rollback")
        await stage.until_fires(Rule("NotUndone", "warning"))


async def test_a_customer_who_comes_in_by_the_door(stage: Stage) -> None:
    asked = {"message": await stage.script({"text": "At last.", "latency_seconds": 4}), "wait": 30}
    by_key = {"Idempotency-Key": uuid.uuid4().hex}
    asking = asyncio.create_task(stage.come_in("POST", "/questions", asked, **by_key))
    await stage.prometheus.wait_for("switchboard_gateway_in_flight > 0")
    assert (await asking).status_code == 200
    talk = (await stage.come_in("POST", "/conversations", {})).json()["id"]
    headers = {"Authorization": f"Bearer {stage.issuer.token()}"}
    async with stream(f"{stage.door_url}/conversations/{talk}/events", headers) as lines:
        assert await anext(lines)
        await stage.prometheus.wait_for("switchboard_gateway_streams == 1")
        await stage.after_scrapes(3)
    for _ in range(3):
        again = await stage.come_in("POST", "/questions", asked, **by_key)
        assert again.headers["idempotency-replayed"] == "true"
        assert (await stage.come_in("GET", "/me", token="garbage")).status_code == 401
        await stage.after_scrapes(2)


async def test_a_door_behind_which_there_is_nobody(stage: Stage) -> None:
    await stage.services["conversations"].stop()
    await stage.until_fires(
        *(Rule("DoorRefuses", severity) for severity in ("warning", "critical")),
        doing=lambda: stage.come_in("GET", "/conversations"),
    )
    await stage.services["conversations"].start()
    assert (await stage.come_in("GET", "/conversations")).status_code == 200


async def test_a_door_whose_valkey_is_away(stage: Stage) -> None:
    await stage.run_with("gateway", LIMITS_URL=f"valkey://127.0.0.1:{free_port()}")
    for _ in range(3):
        assert (await stage.come_in("GET", "/me")).status_code == 200
        await stage.after_scrapes(2)
    await stage.run_with("gateway", LIMITS_URL="")


async def test_no_door(stage: Stage) -> None:
    await stage.services["gateway"].stop()
    await stage.until_fires(Rule("DoorRefuses", "critical", "gateway"))
    await stage.services["gateway"].start()
    assert (await stage.come_in("GET", "/me")).status_code == 200


async def test_an_issuer_whose_keys_cannot_be_fetched(stage: Stage) -> None:
    stage.issuer.status = 503
    new_key = {"kid": "new"}

    async def knock() -> None:
        assert (await stage.come_in("GET", "/me", token=stage.issuer.token(headers=new_key))).status_code == 401
        await asyncio.sleep(0.5)

    await stage.until_fires(Rule("IssuerKeysUnreachable", "warning"), doing=knock, seconds=90)
    assert (await stage.come_in("GET", "/me")).status_code == 200, "keys that are known still let in"
    await stage.run_with("gateway")
    assert (await stage.come_in("GET", "/me")).status_code == 503
    await stage.until_fires(Rule("IssuerKeysUnreachable", "critical"))
    stage.issuer.status = 200

    async def is_let_in() -> bool:
        return (await stage.come_in("GET", "/me")).status_code == 200

    await eventually(is_let_in, 15)
    await stage.prometheus.wait_for('min(switchboard_issuer_keys_known{job="gateway"}) == 1')


async def say(stage: Stage, talk: str, text: str, **more: str) -> None:
    said = {"input_id": uuid.uuid4().hex, "text": text, "user_id": USER} | more
    reply = await stage.restate.call("Conversation", "input", said, key=talk)
    assert reply.status_code == 200, reply.text


@asynccontextmanager
async def watching(stage: Stage, talk: str) -> AsyncGenerator[AsyncIterator[bytes]]:
    url = f"http://127.0.0.1:{stage.watch_port}/conversations/{talk}/events"
    async with stream(url, {"X-User-Id": USER}) as lines:
        yield lines


@asynccontextmanager
async def stream(url: str, headers: Mapping[str, str]) -> AsyncGenerator[AsyncIterator[bytes]]:
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as watched:
        assert watched.status == 200
        yield aiter(watched.content)


async def until(events: AsyncIterator[bytes], kind: str) -> None:
    async for line in events:
        if line == f"event: {kind}\n".encode():
            return
    raise AssertionError(f"the stream has ended before {kind}")


async def test_requests_that_are_refused(stage: Stage) -> None:
    assert (await stage.ask("")).status_code == 422
    assert (await stage.restate.call("Conversation", "input", {}, key=f"conv_{uuid.uuid4().hex}")).status_code == 422
    await stage.outcome(await stage.scripted_calls(("get_ticket", {"ticket_id": "TCK-999999"})))
    await request("PATCH", f"{stage.restate.admin_url}/services/UserDatabase", {"public": True})
    assert (await stage.restate.call("UserDatabase", "is_customer", {})).status_code == 422
    await stage.after_scrapes(2)


async def test_a_run_that_somebody_cancels(stage: Stage) -> None:
    message = await stage.scripted_calls(("long_read", {"seconds": 60}))
    sent = await stage.restate.call("ToolRouter", "route", {"message": message, "user_id": USER}, send=True)
    await stage.prometheus.wait_for('switchboard_invocations{service="Examples", handler="long_read"} > 0')
    await request("PATCH", f"{stage.restate.admin_url}/invocations/{sent.json()['invocationId']}/cancel")
    await stage.prometheus.wait_for('switchboard_runs_total{outcome="cancelled"} > 0')


async def test_a_restate_that_lost_its_volume(stage: Stage) -> None:
    """As on Kubernetes, where the registry reads what the release wants."""
    wanted = stage.folder / "wanted"
    wanted.write_text(stage.deployments())
    await stage.run_with("registry", DEPLOYMENTS="", WANTED_DEPLOYMENTS_FILE=str(wanted))
    await stage.prometheus.wait_for("count(switchboard_deployment_registered == 1) == 4")
    assert await orphans(stage) == set()  # what it has not sent when it ends, Restate may lose
    await stage.restate.stop()
    shutil.rmtree(stage.restate.folder)
    await stage.restate.start()
    await stage.until_fires(Rule("RegistrationRestored", "warning"), Rule("RegistrationRestored", "critical"))
    assert (await stage.ask(QUESTIONS[0])).status_code == 200


# --- what was seen of it -------------------------------------------------------------------------------------------


async def test_every_rule_has_fired(stage: Stage) -> None:
    assert scaled.rules() - await stage.fired(stage.began) == set()


def panels() -> list[Query]:
    found = (json.loads(path.read_text()) for path in sorted((ALERTS.parent / "dashboards").glob("*.json")))
    return [query for dashboard in found for query in queries(dashboard)]


@pytest.mark.parametrize("query", panels(), ids=str)
async def test_every_query_of_every_panel_returns_data(stage: Stage, query: Query) -> None:
    """Not only what it says when there is nothing: each series that it names was seen, and once it was not 0."""
    for selector in selectors(query.filled()):
        assert await values(stage, selector) or str(query) in ZERO_WHEN_WELL, f"no such series: {selector}"
    found = await values(stage, query.filled(rate_interval="10s"))
    assert found
    assert any(found) or str(query) in ZERO_WHEN_WELL, "it was 0 all the time"


async def test_what_was_0_all_the_time_still_is(stage: Stage) -> None:
    asked = {str(query): query for query in panels()}
    for name in ZERO_WHEN_WELL:
        assert not any(await values(stage, asked[name].filled(rate_interval="10s"))), f"{name} is no exception any more"


def selectors(expression: str) -> set[str]:
    """The series that an expression names: `name{matchers}`."""
    return set(re.findall(r"\w+\{[^}]*\}", expression))


async def values(stage: Stage, expression: str) -> list[float]:
    """All values that an expression had since everything was up, but for NaN."""
    series = await stage.prometheus.query_range(expression, stage.began, time.time(), step=2)
    found = (float(value) for each in series for _, value in each["values"])
    return [value for value in found if not math.isnan(value)]


async def test_answer_times_lead_to_the_traces_that_were_received(stage: Stage) -> None:
    series = await stage.prometheus.exemplars("switchboard_run_duration_seconds_bucket")
    exemplars = [each["labels"] for one in series for each in one["exemplars"]]
    assert exemplars
    runs = {(span.trace_id, span.attributes["switchboard.run"]) for span in of_kind(stage, "invoke_agent {agent}")}
    assert {(labels["trace_id"], labels["run"]) for labels in exemplars} <= runs


# --- the table of metrics ------------------------------------------------------------------------------------------

Series = list[dict[str, str]]
PARTS_OF_A_HISTOGRAM = ("_bucket", "_sum", "_count")


async def seen(stage: Stage) -> dict[str, Series]:
    """Every series of ours that was ever scraped, by the name of its metric."""
    found: defaultdict[str, Series] = defaultdict(list)
    for labels in await stage.prometheus.series('{__name__=~"(switchboard|gen_ai)_.+"}'):
        name = labels["__name__"]
        histogram = next((name.removesuffix(end) for end in PARTS_OF_A_HISTOGRAM if name.endswith(end)), "")
        found[histogram if histogram in HISTOGRAMS else name].append(labels)
    return found


HISTOGRAMS = {metric.name for metric in METRICS if metric.kind == "histogram"}


async def test_no_metric_of_ours_was_scraped_that_is_not_in_the_table(stage: Stage) -> None:
    assert (await seen(stage)).keys() - {metric.name for metric in METRICS} == set()


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
async def test_every_metric_of_the_table_was_scraped_as_it_says(stage: Stage, metric: Signal) -> None:
    series = (await seen(stage))[metric.name]
    labels = {name for each in series for name in each} - {"__name__", "job", "instance", "le"}
    assert labels == set(metric.labels)
    assert {each["job"] for each in series} == set(metric.rooms)
    told = (await stage.prometheus.metadata())[metric.name.removesuffix("_total")]
    assert {(each["type"], each["help"]) for each in told} == {(metric.kind, metric.tells)}


@pytest.mark.parametrize("name", sorted(HISTOGRAMS))
async def test_every_histogram_has_the_buckets_of_the_table(stage: Stage, name: str) -> None:
    (metric,) = (each for each in METRICS if each.name == name)
    bounds = {float(each["le"]) for each in (await seen(stage))[name] if "le" in each}
    assert bounds == {*metric.buckets, math.inf}


# --- the table of spans --------------------------------------------------------------------------------------------

OURS = ("router", "users", "tickets", "conversations")
SQL = "SQL statement"
ON_ERROR = {"error.type"}


def kind_of(span: ReceivedSpan) -> str:
    """The name in the table of a span's kind; empty for one that is not in the table."""
    if span.scope.startswith("opentelemetry.instrumentation.asyncpg"):
        return SQL
    patterns = {signal.name: re.sub(r"\\\{\w+\\\}", r"\\S+", re.escape(signal.name)) for signal in SPANS}
    return next((name for name, pattern in patterns.items() if re.fullmatch(pattern, span.name)), "")


def of_kind(stage: Stage, name: str) -> list[ReceivedSpan]:
    return [span for span in stage.receiver.spans if span.service in OURS and kind_of(span) == name]


@pytest.mark.parametrize("signal", SPANS, ids=lambda signal: signal.name)
def test_every_kind_of_span_arrived_with_its_attributes(stage: Stage, signal: Signal) -> None:
    spans = of_kind(stage, signal.name)
    assert {span.service for span in spans} == set(signal.rooms)
    assert any(span.attributes.keys() >= set(signal.labels) for span in spans)
    if signal.name != SQL:
        assert {name for span in spans for name in span.attributes} - ON_ERROR == set(signal.labels)


def test_no_span_of_ours_arrived_that_is_not_in_the_table(stage: Stage) -> None:
    unknown = {(span.service, span.name) for span in stage.receiver.spans if span.service in OURS and not kind_of(span)}
    assert unknown == set()


async def test_every_span_of_ours_hangs_below_one_that_arrived(stage: Stage) -> None:
    assert await orphans(stage) == set()


async def orphans(stage: Stage, seconds: float = 20) -> set[tuple[str, str]]:
    """Spans of ours whose parent has not arrived; waits for it, since Restate sends its own every few seconds."""
    deadline = time.monotonic() + seconds
    while True:
        arrived = {span.id for span in stage.receiver.spans}
        ours = (span for span in stage.receiver.spans if span.service in OURS and span.parent)
        found = {(span.service, span.name) for span in ours if (span.trace_id, span.parent) not in arrived}
        if not found or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.2)


def test_one_trace_leads_from_the_ingress_to_the_statement(stage: Stage) -> None:
    spans = {span.id: span for span in stage.receiver.spans}

    def above(span: ReceivedSpan) -> list[str]:
        parent = spans.get((span.trace_id, span.parent))
        return [*above(parent), kind_of(parent) or parent.name] if parent else []

    insert = next(span for span in of_kind(stage, SQL) if "INSERT INTO" in span.attributes["db.statement"])
    path = above(insert)
    assert path[0].startswith("ingress")
    assert path[-4:] == ["invoke_agent {agent}", "execute_tool {tool}", "SupportTicketWorkflow/run", "insert ticket"]
