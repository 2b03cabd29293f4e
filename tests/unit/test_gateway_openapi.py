"""The OpenAPI document against the answers: whatever a client makes of it is answered as it says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, checks
from schemathesis.core.result import Ok

from contracts import Answer
from tests.parts.gateway import OF_A_GATEWAY
from tests.parts.restate import request
from tests.parts.service import Service

NOW = "2026-01-02T03:04:05+00:00"
LINE = {"position": 1, "kind": "message", "run": "run_1", "at": NOW, "body": {"text": "Hello."}}
LISTED = {"conversation": f"conv_{'0' * 32}", "title": "Hello.", "opened_at": NOW, "changed_at": NOW}
TICKET = {
    "ticket_id": "TCK-000001",
    "subject": "An outage",
    "category": "bug",
    "priority": "high",
    "status": "open",
    "created_at": NOW,
    "updated_at": NOW,
    "sla_due_at": NOW,
    "description": "It shows nothing.",
}
ANSWER = Answer(text="There is none.", outcome="answered").model_dump()
STREAM = b"id: 1\nevent: input\ndata: {}\n\nretry: 1000\nevent: end\ndata: {}\n\n"
CASES = 8
"""Of each operation, that fit the document and that do not."""
CHECKS: list[Any] = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]

ROOMS: Mapping[str, Any] = {
    "/restate/output": ANSWER,
    "/restate/attach": ANSWER,
    "/restate/call/CustomerTickets/list": {"tickets": [TICKET]},
    "/restate/call/CustomerTickets/get": TICKET,
    "/restate/send/ToolRouter/route": {"status": "Accepted"},
    "/conversations": {"conversations": [LISTED], "next": None},
}
"""What stands behind it answers."""


async def behind(asked: web.Request) -> web.Response:
    path = asked.path
    if path == "/restate/call/ToolRouter/route":
        return web.json_response({**ANSWER, "request": (await asked.json())["request"]})
    if path.endswith("/input"):
        return web.json_response({"disposition": "started", "run": "run_1", "position": 1})
    if path.endswith("/events"):
        return web.Response(body=STREAM, content_type="text/event-stream")
    if path in ROOMS or path.startswith("/restate/"):
        return web.json_response(ROOMS.get(path, {}))
    return web.json_response({"entries": [LINE], "next": None})


@pytest.fixture(scope="module")
async def gateway(service: Callable[..., Awaitable[Service]]) -> AsyncIterator[Service]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", behind)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        many = {"REQUESTS_PER_MINUTE": "1000000", "BURST": "1000000"}
        yield await service("gateway", RESTATE_INGRESS_URL=url, CONVERSATIONS_URL=url, **OF_A_GATEWAY, **many)


@pytest.fixture(scope="module")
async def document(gateway: Service) -> dict[str, Any]:
    return (await request("GET", f"{gateway.address}/openapi.json")).json()


@pytest.mark.parametrize("mode", list(GenerationMode))
async def test_whatever_is_asked_is_answered_as_the_document_says(
    gateway: Service, document: dict[str, Any], mode: GenerationMode
) -> None:
    wrong = await asyncio.to_thread(found_wrong, gateway, document, mode)
    assert wrong == []


def found_wrong(gateway: Service, document: dict[str, Any], mode: GenerationMode) -> list[str]:
    schema, wrong = schemathesis.openapi.from_dict(document), list[str]()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        try:
            for_each(operation.as_strategy(generation_mode=mode), gateway)
        except Unsatisfiable:  # of what takes nothing, everything fits
            assert not operation.definition.raw.get("parameters"), operation.label
        except Exception as error:
            wrong.append(f"{operation.label}: {error!r} {getattr(error, 'exceptions', '')}")
    return wrong


def for_each(cases: Any, gateway: Service) -> None:
    @settings(
        max_examples=CASES,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
    )
    @given(case=cases)
    def is_as_told(case: Case[Any]) -> None:
        told = {"Authorization": "Bearer demo-user_12345"}
        case.call_and_validate(base_url=gateway.address, headers=told, checks=CHECKS)

    is_as_told()


async def test_every_operation_has_examples_that_fit_it(document: dict[str, Any]) -> None:
    """Of its body, of each parameter, and of what it answers when all is well."""
    wrong: list[str] = []
    for label, operation in operations(document):
        for name, told in described(operation):
            found = examples(told, document)
            schema = {**told.get("schema", {}), "components": document["components"]}
            fits = all(jsonschema_rs.is_valid(schema, each) for each in found)
            wrong += [] if found and fits else [f"{label}: {name}"]
    assert wrong == []


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def described(operation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The name of each thing that has examples, and what is told of it."""
    answers = {status: each for status, each in operation["responses"].items() if status.startswith("2")}
    for name, each in {**answers, "body": operation.get("requestBody", {})}.items():
        yield from ((name, content) for content in each.get("content", {}).values())
    yield from ((each["name"], each) for each in operation.get("parameters", []))


def examples(told: Mapping[str, Any], document: Mapping[str, Any]) -> list[Any]:
    schema = told.get("schema", {})
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return [told["example"]] if "example" in told else schema.get("examples", told.get("examples", []))
