"""Our services as programs: what each gets to know of the others."""

import sys
from collections.abc import Mapping
from functools import partial

from standalone.database import Database
from standalone.process import Program
from standalone.restate import answers
from standalone.revision import revision_of
from standalone.settings import StandaloneSettings

REGISTERED = ("router", "users", "tickets")
END_ORDER = (("registry", "router", "tickets", "users"), ("demo_model",), ("restate",), ("postgres",))


def users(settings: StandaloneSettings, database: Database) -> Program:
    return _service("users", settings.users_port, {"DATABASE_URL": database.url("users", "app")})


def tickets(settings: StandaloneSettings, database: Database) -> Program:
    secret = settings.webhook_secret
    env = {"WEBHOOK_SECRET": secret.get_secret_value()} if secret else {}
    return _service("tickets", settings.tickets_port, env | {"DATABASE_URL": database.url("tickets", "app")})


def router(settings: StandaloneSettings) -> Program:
    env = {
        "CATALOGUE_URL": f"http://127.0.0.1:{settings.registry_port}/tools",
        "STATUS_URL": f"http://127.0.0.1:{settings.status_port}/api/v2/summary.json",
        "TRUST_USER_ID": "true",
        "CUSTOMER_CHECK": "UserDatabase/is_customer",
    }
    return _service("router", settings.router_port, env | _model(settings))


def registry(settings: StandaloneSettings) -> Program:
    ports = {"router": settings.router_port, "users": settings.users_port, "tickets": settings.tickets_port}
    deployments = (f"{name}=http://127.0.0.1:{port}/rev/{revision_of(name)}" for name, port in ports.items())
    env = {
        "RESTATE_ADMIN_URL": settings.admin_url,
        "DEPLOYMENTS": ",".join(deployments),
        "END_FORMER": "true",
    }
    return _program("registry", settings.registry_port, env)


def demo_model(settings: StandaloneSettings) -> Program:
    ledger = settings.data_dir.resolve() / "demo_model.jsonl"
    return _program("demo_model", settings.demo_model_port, {"LEDGER_FILE": str(ledger)})


def _model(settings: StandaloneSettings) -> dict[str, str]:
    if not settings.real_model:
        url = f"http://127.0.0.1:{settings.demo_model_port}/v1"
        return {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none", "OPENAI_MODEL": "demo"}
    key = settings.openai_api_key
    return {"OPENAI_API_KEY": key.get_secret_value()} if key else {}


def _service(name: str, port: int, env: Mapping[str, str]) -> Program:
    return _program(name, port, {"REVISION": revision_of(name), "DRAIN_SECONDS": "3", **env})


def _program(name: str, port: int, env: Mapping[str, str]) -> Program:
    return Program(
        name=name,
        command=[sys.executable, "-m", name],
        env={"HOST": "127.0.0.1", "PORT": str(port), "METRICS_PORT": "0", "PYTHONUNBUFFERED": "1", **env},
        ready=partial(answers, f"http://127.0.0.1:{port}/health"),
    )
