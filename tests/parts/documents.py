"""The OpenAPI document of an API against its answers: whatever a client makes of it is answered as it says."""

from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode, checks
from schemathesis.core.result import Ok

CASES = 8
"""Of each operation, that fit the document and that do not."""
CHECKS: list[Any] = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def found_wrong(address: str, token: str, document: dict[str, Any], mode: GenerationMode) -> list[str]:
    """The operations whose answers are not as the document says."""
    schema, wrong = schemathesis.openapi.from_dict(document), list[str]()
    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        try:
            for_each(operation.as_strategy(generation_mode=mode), address, token)
        except Unsatisfiable:  # of what takes nothing, everything fits
            assert not operation.definition.raw.get("parameters"), operation.label
        except Exception as error:
            wrong.append(f"{operation.label}: {error!r} {getattr(error, 'exceptions', '')}")
    return wrong


def for_each(cases: Any, address: str, token: str) -> None:
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
        told = {"Authorization": f"Bearer {token}"}
        case.call_and_validate(base_url=address, headers=told, checks=CHECKS)

    is_as_told()


def without_examples(document: dict[str, Any]) -> list[str]:
    """Bodies, parameters and good answers whose examples are missing, or do not fit them."""
    wrong: list[str] = []
    for label, operation in operations(document):
        for name, told in described(operation):
            found = examples(told, document)
            schema = {**told.get("schema", {}), "components": document["components"]}
            fits = all(jsonschema_rs.is_valid(schema, each) for each in found)
            wrong += [] if found and fits else [f"{label}: {name}"]
    return wrong


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
