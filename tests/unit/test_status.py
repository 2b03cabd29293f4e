"""`check_service_status` against a real HTTP server that publishes what Statuspage publishes, and worse."""

import asyncio
import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from router.tools.status import CheckServiceStatus, ServiceStatus, StatusPage, StatusUnavailable, check_service_status

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def component(name: str, status: str = "operational", **more: Any) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "status": status, "group": False, "group_id": None, "position": 1, **more}


def update(body: str, at: str, **more: Any) -> dict[str, Any]:
    return {"id": at, "status": "identified", "body": body, "created_at": at, "display_at": at, **more}


PAYMENTS = component("Payments", "partial_outage")

SUMMARY: dict[str, Any] = {
    "page": {
        "id": "p1",
        "name": "Nimbus",
        "url": "https://status.nimbus.example",
        "updated_at": "2026-03-02T10:20:00Z",
    },
    "status": {"indicator": "minor", "description": "Partially Degraded Service"},
    "components": [component("API"), PAYMENTS, component("Webhooks"), component("Single sign-on")],
    "incidents": [
        {
            "id": "i1",
            "name": "Card payments are delayed",
            "status": "identified",
            "impact": "minor",
            "created_at": "2026-03-02T09:00:00Z",
            "updated_at": "2026-03-02T10:20:00Z",
            "incident_updates": [
                update("We know the cause.", "2026-03-02T10:20:00Z"),
                update("We are looking into it.", "2026-03-02T09:00:00Z"),
            ],
            "components": [PAYMENTS],
        }
    ],
    "scheduled_maintenances": [
        {
            "id": "m1",
            "name": "Database upgrade",
            "status": "scheduled",
            "impact": "maintenance",
            "scheduled_for": "2026-03-08T02:00:00Z",
            "scheduled_until": "2026-03-08T04:00:00Z",
            "incident_updates": [
                update(
                    "Webhooks may be late.",
                    "2026-03-01T09:00:00Z",
                    affected_components=[{"code": "id-Webhooks", "name": "Webhooks"}],
                )
            ],
        }
    ],
}


@pytest.fixture
async def publish() -> AsyncIterator[Callable[..., Awaitable[StatusPage]]]:
    """Serve a document, text or handler on a free port; returns the page to read it with."""
    servers: list[TestServer] = []
    async with aiohttp.ClientSession() as session:

        async def start(published: Any, timeout_seconds: float = 5) -> StatusPage:
            app = web.Application()
            app.router.add_get("/api/v2/summary.json", answering(published))
            server = TestServer(app, host="127.0.0.1")
            await server.start_server()
            servers.append(server)
            return StatusPage(session, str(server.make_url("/api/v2/summary.json")), timeout_seconds)

        yield start
        for server in servers:
            await server.close()


def answering(published: Any) -> Handler:
    if inspect.iscoroutinefunction(published):
        return published
    body = published if isinstance(published, bytes) else json.dumps(published).encode()

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return answer


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda text: b"\xef\xbb\xbf" + text.encode(), None),
        (lambda text: text.encode("latin-1"), None),
        (lambda text: text.encode("latin-1"), "iso-8859-1"),
        (lambda text: text.encode("utf-16"), "utf-16"),
        (lambda text: text.encode(), "latin-1"),  # JSON is UTF-8, whatever is said of it
        (lambda text: text.encode("latin-1"), "no-such-charset"),
    ],
)
async def test_a_page_is_read_in_the_encoding_that_it_is_in(publish: Any, body: Any, said: str | None) -> None:
    text = json.dumps(summary(status={"description": "Gestört: Zahlungen"}), ensure_ascii=False)

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body(text), content_type="application/json", charset=said)

    assert (await check(await publish(answer))).overall == "Gestört: Zahlungen"


async def test_how_large_a_page_may_be_is_a_setting(publish: Any) -> None:
    page = await publish(summary(padding="x" * 300_000))
    assert (await check(page)).overall == "Partially Degraded Service"
    with pytest.raises(StatusUnavailable, match="more than 9 KB"):
        await check(replace(page, most_bytes=10_000))


def summary(**changed: Any) -> dict[str, Any]:
    return {**SUMMARY, **changed}


async def check(page: StatusPage, asked: str | None = None) -> ServiceStatus:
    return await check_service_status(page, CheckServiceStatus(component=asked))


def shown(status: ServiceStatus) -> list[str]:
    return [each.name for each in status.components]


async def test_without_a_component_the_whole_page_is_read_out(publish: Any) -> None:
    status = await check(await publish(SUMMARY))
    assert status.overall == "Partially Degraded Service"
    assert status.updated_at == "2026-03-02T10:20:00Z"
    assert shown(status) == ["Payments", "API", "Webhooks", "Single sign-on"]  # what is in trouble comes first
    assert [each.name for each in status.incidents] == ["Card payments are delayed"]
    assert [each.name for each in status.maintenances] == ["Database upgrade"]
    assert status.note is None


async def test_an_incident_tells_its_impact_its_latest_update_and_what_it_affects(publish: Any) -> None:
    (incident,) = (await check(await publish(SUMMARY), "Payments")).incidents
    assert (incident.impact, incident.status, incident.updated_at) == ("minor", "identified", "2026-03-02T10:20:00Z")
    assert incident.latest_update == "We know the cause."
    assert incident.affected_components == ["Payments"]


async def test_a_maintenance_tells_when_and_what_from_its_updates_alone(publish: Any) -> None:
    (maintenance,) = (await check(await publish(SUMMARY), "webhooks")).maintenances
    assert maintenance.scheduled_for == "2026-03-08T02:00:00Z"
    assert maintenance.scheduled_until == "2026-03-08T04:00:00Z"
    assert maintenance.affected_components == ["Webhooks"]


@pytest.mark.parametrize(
    "asked", ["Payments", "payment", "payment service", "the PAYMENT system", " pay ", "payments api?"]
)
async def test_a_component_is_found_by_whatever_a_customer_calls_it(publish: Any, asked: str) -> None:
    page = await publish(summary(components=[PAYMENTS, component("Webhooks"), component("Single sign-on")]))
    assert shown(await check(page, asked)) == ["Payments"]


async def test_the_component_that_shares_most_words_is_meant(publish: Any) -> None:
    page = await publish(
        summary(components=[component("Admin API"), component("Public API"), component("Public site")])
    )
    assert shown(await check(page, "public api")) == ["Public API"]
    assert shown(await check(page, "api")) == ["Admin API", "Public API"]


async def test_a_component_shows_only_what_affects_it(publish: Any) -> None:
    status = await check(await publish(SUMMARY), "API")
    assert (shown(status), status.incidents, status.maintenances) == (["API"], [], [])


async def test_a_notice_that_names_no_component_concerns_all(publish: Any) -> None:
    incident = {**SUMMARY["incidents"][0], "components": []}
    assert len((await check(await publish(summary(incidents=[incident])), "API")).incidents) == 1


async def test_an_unknown_component_shows_all_and_says_which_there_are(publish: Any) -> None:
    status = await check(await publish(SUMMARY), "Teleporter")
    assert len(status.components) == 4
    assert status.note is not None
    assert "API, Payments, Webhooks, Single sign-on" in status.note
    assert "Teleporter" not in status.note


@pytest.mark.parametrize("asked", ["", "  ", "all", "all services", "?"])
async def test_asking_for_everything_needs_no_note(publish: Any, asked: str) -> None:
    status = await check(await publish(SUMMARY), asked)
    assert (len(status.components), status.note) == (4, None)


async def test_a_component_in_a_group_is_found_by_the_name_of_the_group(publish: Any) -> None:
    group = component("Payments", group=True)
    cards = component("Cards", "major_outage", group_id="id-Payments")
    page = await publish(summary(components=[group, cards, component("API")]))
    assert shown(await check(page, "payment service")) == ["Payments / Cards"]


async def test_missing_and_null_details_are_read_as_empty(publish: Any) -> None:
    bare = {
        "status": {"description": "All Systems Operational"},
        "components": [{"id": "a", "name": "API", "status": None}],
        "incidents": [{"name": "Odd", "status": "investigating", "impact": None, "incident_updates": [{"body": None}]}],
    }
    status = await check(await publish(bare))
    assert (status.updated_at, status.incidents[0].impact, status.incidents[0].latest_update) == ("", "", "")


async def test_the_result_of_a_huge_page_stays_below_the_limit_of_a_tool_result(publish: Any) -> None:
    many = [component(f"Component {n:03} {'x' * 40}") for n in range(400)]
    incident = {**SUMMARY["incidents"][0], "components": [{"id": each["id"]} for each in many]}
    incident["incident_updates"] = [update("y" * 5000, "2026-03-02T10:20:00Z")]
    page = await publish(summary(components=[*many, component("Last", "major_outage")], incidents=[incident] * 5))
    status = await check(page, "Teleporter")
    assert shown(status)[0] == "Last"
    assert len(status.model_dump_json().encode()) <= 32 * 1024


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"<html>Bad gateway</html>",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"status": {"description": "\\ud800"}, "components": []}',
        b'{"status": {"description": "fine"}}',
        b'{"components": []}',
        b'{"status": {"description": 7}, "components": []}',
        b'{"status": {"description": "fine"}, "components": [1]}',
        b'{"status": {"description": "fine"}, "components": []',
        b"[" * 100_000,
    ],
)
async def test_garbage_is_never_read_as_all_is_well(publish: Any, garbage: bytes) -> None:
    with pytest.raises(StatusUnavailable, match="something unreadable"):
        await check(await publish(garbage))


@pytest.mark.parametrize("code", [404, 429, 500, 503])
async def test_an_error_status_is_named(publish: Any, code: int) -> None:
    async def failing(_: web.Request) -> web.StreamResponse:
        return web.json_response(SUMMARY, status=code)

    with pytest.raises(StatusUnavailable, match=f"HTTP status {code}"):
        await check(await publish(failing))


async def test_a_page_that_is_silent_is_given_up(publish: Any) -> None:
    released = asyncio.Event()

    async def silent(_: web.Request) -> web.StreamResponse:
        await released.wait()
        return web.Response()

    page = await publish(silent, timeout_seconds=0.1)
    with pytest.raises(StatusUnavailable, match="in time"):
        await asyncio.wait_for(check(page), 30)
    released.set()


async def test_a_page_that_drips_is_given_up_after_the_same_time_in_all(publish: Any) -> None:
    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.05)
        return response

    page = await publish(dripping, timeout_seconds=0.3)
    with pytest.raises(StatusUnavailable, match="in time"):
        await check(page)


@pytest.mark.parametrize("encoding", [None, web.ContentCoding.gzip])
async def test_a_page_without_end_is_not_read_to_its_end(publish: Any, encoding: web.ContentCoding | None) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if encoding:
            response.enable_compression(encoding)
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b" " * 65536)
        return response

    with pytest.raises(StatusUnavailable, match="more than 1024 KB"):
        await check(await publish(endless))


async def test_a_reply_that_breaks_off_is_unavailable(publish: Any) -> None:
    async def breaking(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"status":')
        assert request.transport is not None
        request.transport.close()
        return response

    with pytest.raises(StatusUnavailable, match="cannot be reached"):
        await check(await publish(breaking))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/summary.json", "http://", "nonsense", "http://[::"])
async def test_a_page_that_cannot_be_reached_is_unavailable_and_its_address_not_told(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(StatusUnavailable, match="cannot be reached") as caught:
            await check(StatusPage(session, url))
    assert "127.0.0.1" not in str(caught.value)
