"""The OpenAPI document of an API, and what its framework refuses by itself, told as all else is told."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from runtime.api.problems import Problem


class ProblemShape(BaseModel):
    """What is said when something is not done (RFC 9457)."""

    type: str = Field(description="What kind of problem it is; stable.", examples=["urn:switchboard:problem:not_found"])
    title: str
    status: int
    detail: str = ""
    field: str | None = Field(default=None, description="The field that is to be mended.")
    run: str | None = Field(default=None, description="The run that is at work.")
    request_id: str = Field(description="Names this request to whoever runs the service.")
    retryable: bool = Field(description="Whether the same request may do better a moment later.")


def tell_by_problems(app: FastAPI) -> None:
    """Whatever goes wrong in this app, and what its document says of that."""
    app.add_exception_handler(HTTPException, no_route)
    app.add_exception_handler(RequestValidationError, not_as_it_must_be)
    app.openapi = lambda: described(app)


async def no_route(request: Request, error: Exception) -> JSONResponse:
    """Whatever the framework itself refuses: an address that is none, a method that is none of its."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    problem = Problem("method_not_allowed" if status == 405 else "not_found")
    if isinstance(error, HTTPException) and error.headers:
        problem.headers.update(error.headers)
    raise problem


async def not_as_it_must_be(request: Request, error: Exception) -> JSONResponse:
    """A parameter of the address; its value is not repeated."""
    first: dict[str, Any] = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    field = str(first.get("loc", ("", ""))[-1])
    raise Problem("invalid_request", f"{field}: {first.get('msg', '')}", field=field)


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: with problems where something is not as it must be."""
    if app.openapi_schema is None:
        schema = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        components: dict[str, Any] = schema.setdefault("components", {}).setdefault("schemas", {})
        components["Problem"] = ProblemShape.model_json_schema() | {"title": "Problem"}
        for name in ("HTTPValidationError", "ValidationError"):
            components.pop(name, None)
        for operations in schema["paths"].values():
            for operation in operations.values():
                invalid = operation["responses"].get("422", {}).get("content", {})
                if "application/json" in invalid:
                    del operation["responses"]["422"]
        app.openapi_schema = schema
    return app.openapi_schema
