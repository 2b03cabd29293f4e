"""Our services as programs: what each gets to know of the others."""

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from standalone.database import Database
from standalone.keys import read_call_key, read_caller_key, read_console_secret, read_names_secret
from standalone.people import read_staff_key
from standalone.process import Program
from standalone.prometheus import Prometheus
from standalone.restate import Ports, Restate, answers, tracing
from standalone.revision import revision_of
from standalone.settings import StandaloneSettings
from users.demo import demo_names

ALERTS = Path(__file__).parents[4] / "charts/switchboard/alerts"
"""Of this repository; an installed copy has none."""

REGISTERED = ("router", "users", "tickets", "conversations")
MACROS = Path(__file__).with_name("macros.toml")
DEMO_STAFF = (
    {"name": "anna", "shown": "Anna Berg", "roles": ["agent"]},
    {"name": "ben", "shown": "Ben Osei", "roles": ["agent", "approver"]},
    {"name": "carla", "shown": "Carla Ruiz", "roles": ["agent", "approver", "admin"]},
)
"""Of whom whoever opens the desk may be one."""
END_ORDER = (
    ("gateway", "console", "prometheus", "registry", "router", "conversations", "tickets", "users"),
    ("demo_model",),
    ("restate",),
    ("postgres",),
)


def users(settings: StandaloneSettings, database: Database) -> Program:
    env = {"DATABASE_URL": database.url("users", "app"), "STAFF_KEYS": read_staff_key(settings.data_dir)}
    return _service(settings, "users", _callers(settings) | env)


def tickets(settings: StandaloneSettings, database: Database) -> Program:
    secret = settings.webhook_secret
    env = {"WEBHOOK_SECRET": secret.get_secret_value()} if secret else {}
    env |= _callers(settings) | _customers(settings)
    env |= {"DATABASE_URL": database.url("tickets", "app"), "STAFF_KEYS": read_staff_key(settings.data_dir)}
    return _service(settings, "tickets", env)


def conversations(settings: StandaloneSettings, database: Database) -> Program:
    env = {
        "DATABASE_URL": database.url("conversations", "app"),
        "ACCEPTED_URL": f"http://127.0.0.1:{settings.registry_port}/accepted",
        "JOURNALS_URL": f"http://127.0.0.1:{settings.registry_port}/journals",
        "WATCH_PORT": str(settings.conversations_watch_port),
        "STAFF_KEYS": read_staff_key(settings.data_dir),
    }
    return _service(settings, "conversations", env | _customers(settings))


def router(settings: StandaloneSettings, database: Database) -> Program:
    env = {
        "CATALOGUE_URL": f"http://127.0.0.1:{settings.registry_port}/tools",
        "STATUS_URL": settings.status_url or f"http://127.0.0.1:{settings.status_port}/api/v2/summary.json",
        "CUSTOMER_CHECK": settings.customer_check,
        "CALL_KEY": read_call_key(settings.data_dir)[0],
        "CONVERSATIONS_DATABASE_URL": database.url("conversations", "router"),
    }
    return _service(settings, "router", env | _customers(settings) | _model(settings))


def gateway(settings: StandaloneSettings) -> Program:
    env = {
        "RESTATE_INGRESS_URL": settings.ingress_url,
        "CONVERSATIONS_URL": f"http://127.0.0.1:{settings.conversations_watch_port}",
        "SIGNING_KEY": read_caller_key(settings.data_dir)[0],
        "NAMES_SECRET": read_names_secret(settings.data_dir),
        "DEMO_CUSTOMERS": json.dumps([{"user_id": user_id, "name": name} for user_id, name in demo_names().items()]),
    }
    return _program(settings, "gateway", env)


def console(settings: StandaloneSettings) -> Program:
    env = {
        "RESTATE_INGRESS_URL": settings.ingress_url,
        "STAFF_KEY": read_staff_key(settings.data_dir),
        "CONVERSATIONS_URL": f"http://127.0.0.1:{settings.conversations_watch_port}",
        "REGISTRY_URL": f"http://127.0.0.1:{settings.registry_desk_port}",
        "SESSION_SECRET": read_console_secret(settings.data_dir),
        "SECURE_COOKIES": "false",
        "RESTATE_UI_URL": f"{settings.admin_url}/ui/invocations/{{invocation}}",
        "DEMO_STAFF": json.dumps(DEMO_STAFF),
        "MACROS_FILE": str((settings.macros_file or MACROS).resolve()),
    }
    return _program(settings, "console", env)


def registry(settings: StandaloneSettings) -> Program:
    ports = {name: getattr(settings, f"{name}_port") for name in REGISTERED}
    deployments = (f"{name}=http://127.0.0.1:{port}/rev/{revision_of(name)}" for name, port in ports.items())
    env = {
        "RESTATE_ADMIN_URL": settings.admin_url,
        "DEPLOYMENTS": ",".join(deployments),
        "END_FORMER": "true",
        "DESK_PORT": str(settings.registry_desk_port),
        "RECORD_DIR": str(settings.data_dir.resolve() / "record"),
        "STAFF_KEYS": read_staff_key(settings.data_dir),
        **accepted(settings),
    }
    return _program(settings, "registry", env)


def accepted(settings: StandaloneSettings) -> dict[str, str]:
    """Where the registry keeps what was accepted of the tools that others brought."""
    return {"ACCEPTED_DIR": str(settings.data_dir.resolve() / "accepted")}


def restate(settings: StandaloneSettings) -> Restate:
    ports = Ports(settings.restate_ingress_port, settings.restate_admin_port, settings.restate_node_port)
    collector = settings.otel_exporter_otlp_endpoint
    env = tracing(collector) | _headers(settings) if collector and not settings.restate_tracing_endpoint else {}
    return Restate(settings.data_dir, settings.tools_dir, ports, settings.restate_partitions, env)


def prometheus(settings: StandaloneSettings) -> Prometheus:
    return Prometheus(settings.data_dir, settings.prometheus_port, settings.scraped(), sorted(ALERTS.glob("*.yaml")))


def demo_model(settings: StandaloneSettings) -> Program:
    ledger = settings.data_dir.resolve() / "demo_model.jsonl"
    return _program(settings, "demo_model", {"LEDGER_FILE": str(ledger)})


def _callers(settings: StandaloneSettings) -> dict[str, str]:
    """By what a tool knows its caller."""
    accepted = f"http://127.0.0.1:{settings.registry_port}/accepted"
    return {"CALL_KEYS": read_call_key(settings.data_dir)[1], "ACCEPTED_URL": accepted}


def _customers(settings: StandaloneSettings) -> dict[str, str]:
    """By what a room that customers reach knows them: the gateway says it."""
    return {"CALLER_KEYS": read_caller_key(settings.data_dir)[1], "CALLER_ALGORITHM": "EdDSA"}


def _model(settings: StandaloneSettings) -> dict[str, str]:
    if not settings.real_model:
        url = f"http://127.0.0.1:{settings.demo_model_port}/v1"
        demo = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "OPENAI_MODEL": "demo"}
        return demo | {"OPENAI_CHECK_AT_START": "false"}
    secrets = {
        "OPENAI_API_KEY": settings.openai_api_key,
        "OPENAI_FALLBACKS": settings.openai_fallbacks,
        "OPENAI_EXTRA_HEADERS": settings.openai_extra_headers,
    }
    told = {name: secret.get_secret_value() for name, secret in secrets.items() if secret}
    return told | {"OPENAI_CHECK_AT_START": str(settings.openai_check_at_start)}


def _service(settings: StandaloneSettings, name: str, env: Mapping[str, str]) -> Program:
    what = {"REVISION": revision_of(name), "DRAIN_SECONDS": "3"}
    return _program(settings, name, {**what, **_headers(settings), **env})


def _headers(settings: StandaloneSettings) -> dict[str, str]:
    """The collector itself is inherited; what may hold its key is not."""
    headers = settings.otel_exporter_otlp_headers.get_secret_value()
    return {"OTEL_EXPORTER_OTLP_HEADERS": headers} if headers else {}


def _program(settings: StandaloneSettings, name: str, env: Mapping[str, str]) -> Program:
    port, metrics_port = getattr(settings, f"{name}_port"), getattr(settings, f"{name}_metrics_port")
    where = {"HOST": "127.0.0.1", "PORT": str(port), "METRICS_PORT": str(metrics_port)}
    return Program(
        name=name,
        command=[sys.executable, "-m", name],
        env={**where, "PYTHONUNBUFFERED": "1", **env},
        ready=partial(answers, f"http://127.0.0.1:{port}/health"),
    )
