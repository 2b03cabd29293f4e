"""The OpenAPI document as a page for people: plain HTML, which loads nothing from anywhere."""

import json
from collections.abc import Mapping
from html import escape
from typing import Any

STYLE = """\
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem; color: CanvasText; }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; }
pre { overflow: auto; padding: .75rem; border: 1px solid; border-radius: .25rem; }
h2 code { font-size: 1em; }
section { border-top: 1px solid; margin-top: 2rem; }
"""


def docs_page(document: Mapping[str, Any]) -> str:
    """The whole page."""
    info = document["info"]
    operations = [
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    shapes = [f"<section><h2>{escape(name)}</h2>{_json(schema)}</section>" for name, schema in sorted(schemas.items())]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs/style.css">'
        f"<title>{escape(info['title'])}: the API</title></head><body><main><h1>{escape(info['title'])}</h1>"
        f'<p>{escape(info["description"])}</p><p><a href="/openapi.json">openapi.json</a></p>'
        + "".join([*operations, *shapes])
        + "</main></body></html>"
    )


def _operation(method: str, path: str, told: Mapping[str, Any]) -> str:
    body = told.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    responses = "".join(
        f"<li>{escape(status)}: {escape(response.get('description', ''))}</li>"
        for status, response in sorted(told["responses"].items())
    )
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(told.get('summary', ''))}."
        f" {escape(told.get('description', ''))}</p>{_parameters(told.get('parameters', []))}"
        f"{_json(body) if body else ''}<ul>{responses}</ul></section>"
    )


def _parameters(parameters: list[Mapping[str, Any]]) -> str:
    lines = (
        f"<li><code>{escape(each['name'])}</code> ({escape(each['in'])}) {escape(each.get('description', ''))}</li>"
        for each in parameters
    )
    return f"<ul>{''.join(lines)}</ul>" if parameters else ""


def _json(value: Any) -> str:
    return f"<pre>{escape(json.dumps(value, indent=2))}</pre>"
