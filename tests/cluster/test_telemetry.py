"""What Switchboard tells of itself reaches Prometheus and a collector, and is all that dashboards and alerts need.

The collector runs as k8s/observability has it; Prometheus scrapes what the chart's PodMonitors select, by its rules.
"""

import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.conftest import NewNamespace, Note
from tests.cluster.parts.observers import PROMETHEUS, ClusterCollector, PrometheusPod, build_image, render
from tests.cluster.parts.product import VALUES, Product
from tests.cluster.parts.questions import ACCOUNT, AskedQuestion
from tests.cluster.parts.settings import CHART
from tests.cluster.parts.talks import Talk, until
from tests.cluster.test_install import QUESTIONS
from tests.parts.dashboards import choices, queries, without_data
from tests.parts.otlp import ReceivedSpan
from tests.parts.polling import eventually
from tests.parts.restate import request
from tests.parts.values import Values, merge

OBSERVED: Values = {
    "global": {"otlpEndpoint": "http://collector:4318"},
    "dashboards": {"enabled": True},
    "networkPolicy": {"prometheus": [{"podSelector": {"matchLabels": PROMETHEUS}}]},
}
OPERATOR: Values = {
    "alerts": {"enabled": True},
    "podMonitor": {"enabled": True},
    "restate": {"podMonitor": {"enabled": True}},
}
"""Only rendered: the cluster has no Prometheus operator."""

JOBS = {"gateway", "router", "users", "tickets", "conversations", "registry", "demo-model", "restate"}

BOTH_TOOLS = "What is my current subscription plan? Please create a ticket: the dashboard is broken"

NO_DATA_HERE = {
    "switchboard-durable-work/Notifications: delay and oldest undelivered/A": "no webhook is set, so nobody is told",
    "switchboard-door/Identity providers/A": "demo customers need none",
    "switchboard-door/Identity providers/B": "demo customers need none",
}
"""The queries that nothing on this cluster can answer, and why. Exactly these."""

FAILURES = 12
"""Runs that end without a model: more than the five that the alert asks for, at a share that is far above its bound."""


@dataclass
class Observed:
    """A release, with those who watch it."""

    product: Product
    prometheus: PrometheusPod
    collector: ClusterCollector

    @property
    def namespace(self) -> str:
        return self.product.namespace.name

    async def dashboards(self) -> list[Any]:
        """As they lie in the cluster for Grafana's sidecar."""
        found = await self.product.namespace.kubectl(
            "get", "configmaps", "--selector", "grafana_dashboard=1", "--output", "json"
        )
        return [json.loads(text) for each in json.loads(found)["items"] for text in each["data"].values()]


@pytest.fixture(scope="module")
async def observed(new_namespace: NewNamespace, note: Note) -> AsyncIterator[Observed]:
    image = await build_image()
    namespace = await new_namespace("telemetry")
    collector = ClusterCollector(namespace, image)
    await collector.stand()
    product = Product(namespace, merge(VALUES, OBSERVED))
    await product.release.install()
    await product.open()
    rendered = await render(merge(product.release.values, OPERATOR), namespace)
    prometheus = PrometheusPod(namespace, image, rendered)
    await prometheus.stand()
    observed = Observed(product, prometheus, collector)
    await ask_everything(observed)
    yield observed
    await prometheus.leave()
    await product.close()
    await namespace.end()


async def ask_everything(observed: Observed) -> None:
    """The four questions, twice: a counter that is born with its first event has no rate before its second."""
    asked: list[AskedQuestion] = []
    for times in (1, 2):
        asked = [AskedQuestion(observed.product, words) for words in QUESTIONS]
        for question in asked:
            assert (await question.answer())["outcome"] == "answered"
        await observed.prometheus.wait_for(f"sum(switchboard_runs_total) >= {times * len(QUESTIONS)}", 60)
    await ask_amiss(observed.product, asked[0])
    await converse(observed.product)
    await observed.prometheus.wait_for('switchboard_runs_total{outcome="stopped"} > 0', 60)


async def ask_amiss(product: Product, question: AskedQuestion) -> None:
    """Once more what is answered already, and without saying who asks."""
    again = await product.ask(question.message, question.token)
    assert again.headers["idempotency-replayed"] == "true"
    assert (await request("GET", f"{product.gateway.url}/api/v1/me")).status_code == 401


async def converse(product: Product) -> None:
    """What is new for somebody who watches already has an age; a stop ends what is at work."""
    talk = Talk(product)
    await talk.say(f"{ACCOUNT} ({talk.key})")
    async with talk.watched() as events:
        await until(events, "run_ended")
        await product.keep_asking(talk.key, 5)
        await talk.say(f"{ACCOUNT} (once more)")
        await until(events, "run_started")
        await talk.say("stop")
        await until(events, "run_ended")
    await product.answer_slowly(talk.key, 0)


async def test_every_room_and_restate_are_scraped_as_jobs_of_their_names(observed: Observed) -> None:
    await observed.prometheus.wait_for(f"count(up == 1) == {len(JOBS)}", 60)
    found = {(labels["job"], labels["namespace"]) for labels, _ in await observed.prometheus.query("up")}
    assert found == {(job, observed.namespace) for job in JOBS}


async def test_one_trace_leads_from_the_ingress_to_the_sql_statements(observed: Observed, note: Note) -> None:
    question = AskedQuestion(observed.product, BOTH_TOOLS)
    answer = await question.answer()
    assert {call["tool"] for call in answer["calls"]} == {"query_user_database", "create_support_ticket"}, answer
    run = await observed.product.latest_run()
    trace: dict[str, ReceivedSpan] = {}

    async def complete() -> list[ReceivedSpan] | None:
        nonlocal trace
        trace = trace_of(run["id"], await observed.collector.spans())
        whole = {span.service for span in trace.values()} == {"Restate", "router", "users", "tickets"}
        statements = [
            span for span in trace.values() if "INSERT INTO tickets" in span.attributes.get("db.statement", "")
        ]
        return statements if whole and not orphans(trace) else None

    try:
        (insert, *_) = await eventually(lambda: found(complete()), 60)
    except AssertionError:
        raise AssertionError(f"without a parent: {orphans(trace)}; spans: {told(trace.values())}") from None
    path = told(lineage(insert, trace))
    note(f"a trace of {len(trace)} spans; " + " < ".join(path))
    assert path[-1] == "Restate: ingress ToolRouter/route"
    assert "router: invoke_agent switchboard" in path
    assert "router: execute_tool create_support_ticket" in path
    assert "tickets: SupportTicketWorkflow/run" in path


def trace_of(run: str, spans: list[ReceivedSpan]) -> dict[str, ReceivedSpan]:
    """The spans of the trace in which this run is, by id; one that was sent twice counts once."""
    found = {span.trace_id for span in spans if span.attributes.get("switchboard.run") == run}
    return {span.span_id: span for span in spans if span.trace_id in found}


def told(spans: Iterable[ReceivedSpan]) -> list[str]:
    return [f"{span.service}: {span.name}" for span in spans]


def orphans(trace: Mapping[str, ReceivedSpan]) -> list[str]:
    return [span.name for span in trace.values() if span.parent and span.parent not in trace]


def lineage(span: ReceivedSpan, trace: Mapping[str, ReceivedSpan]) -> list[ReceivedSpan]:
    """A span, the one it is below, and so on up to the root."""
    found = [span]
    while found[-1].parent:
        found.append(trace[found[-1].parent])
    return found


async def test_every_query_of_every_dashboard_returns_data(observed: Observed, note: Note) -> None:
    asked = [query for dashboard in await observed.dashboards() for query in queries(dashboard)]
    assert len({query.dashboard for query in asked}) == 5
    empty = await without_data(observed.prometheus, asked, observed.namespace)
    note(f"dashboards: {len(asked)} queries, {len(asked) - len(empty)} with data")
    assert empty == set(NO_DATA_HERE)


async def test_the_dashboards_offer_the_namespace(observed: Observed) -> None:
    for dashboard in await observed.dashboards():
        assert await choices(dashboard, "namespace", observed.prometheus) == {observed.namespace}


async def test_every_rule_of_the_chart_is_evaluated(observed: Observed) -> None:
    assert observed.prometheus.alert_names == {path.stem for path in CHART.glob("alerts/*.yaml")}

    async def all_evaluated() -> list[Any] | None:
        rules = await observed.prometheus.rules()
        return rules if all(rule["health"] != "unknown" for rule in rules) else None

    rules = await eventually(all_evaluated, 30)
    assert {rule["name"] for rule in rules} == observed.prometheus.alert_names
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


async def test_a_dot_on_time_to_answer_names_a_run_and_its_trace(observed: Observed) -> None:
    found = await observed.prometheus.exemplars("switchboard_run_duration_seconds_bucket")
    named = {(each["labels"]["run"], each["labels"]["trace_id"]) for series in found for each in series["exemplars"]}
    sent = {(span.attributes.get("switchboard.run"), span.trace_id) for span in await observed.collector.spans()}
    assert named
    assert named <= sent


async def test_nothing_is_alerted_while_all_is_well(observed: Observed) -> None:
    assert await observed.prometheus.alerts("pending") == {}
    assert await observed.prometheus.alerts("firing") == {}


async def test_a_model_that_is_away_is_alerted_until_it_is_back(observed: Observed, note: Note) -> None:
    product, prometheus = observed.product, observed.prometheus
    await product.fail("cannot be answered")
    # The first one apart: what a counter is born with is no increase of it.
    for times in (1, FAILURES - 1):
        asked = [AskedQuestion(product, f"{ACCOUNT} cannot be answered, {number}") for number in range(times)]
        assert {(await question.answer())["outcome"] for question in asked} == {"model_unavailable"}
        await prometheus.wait_for('switchboard_runs_total{outcome="model_unavailable"}', 30)

    async def critical() -> list[dict[str, str]]:
        firing = await prometheus.alerts("firing")
        return [labels for labels in firing.get("ModelUnavailable", []) if labels["severity"] == "critical"]

    ended = time.monotonic()
    (labels,) = await eventually(lambda: found(critical()), 240)
    assert labels["namespace"] == observed.namespace
    note(f"ModelUnavailable fired {time.monotonic() - ended:.0f} s after {FAILURES} runs without a model")

    # As many answers as bring the share of the last minutes below what the alert allows.
    for _ in range(FAILURES):
        answers = [AskedQuestion(product, ACCOUNT) for _ in range(8)]
        assert {(await question.answer())["outcome"] for question in answers} == {"answered"}
    await eventually(lambda: gone(critical()), 120)


async def found(looked: Any) -> Any:
    return await looked or None


async def gone(looked: Any) -> bool:
    return not await looked
