"""The small parts of the one-machine shape."""

import errno
import json
import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from yarl import URL

from standalone import services
from standalone.database import Database, administrator, read_passwords, staff_url
from standalone.model import advice, check_port, follow_check
from standalone.ports import free_port, who_listens
from standalone.postgres import Postgres
from standalone.process import StartError, cause, inherited
from standalone.prometheus import configuration
from standalone.restate import Ports, binary, environment
from standalone.revision import revision_of
from standalone.run import run as start
from standalone.settings import StandaloneSettings
from standalone.steps import Step, read_steps

README = Path(__file__).parents[2] / "services/standalone/README.md"
TOOLS = {("UserDatabase", "query_user_database"): "query_user_database"}


def entry(command: dict[str, Any], second: int) -> dict[str, Any]:
    return {"entry_lite_json": json.dumps(command), "appended_at": f"2026-01-01T00:00:{second:02}.500Z"}


def run(name: str, completion: int, second: int) -> dict[str, Any]:
    return entry({"Command": {"Run": {"name": name, "completion_id": completion}}}, second)


def call(service: str, handler: str, completion: int, second: int) -> dict[str, Any]:
    target = {"Service": {"name": service, "handler": handler}}
    return entry({"Command": {"Call": {"invocation_target": target, "result_completion_id": completion}}}, second)


def done(completion: int, second: int) -> dict[str, Any]:
    return entry({"Notification": {"id": {"CompletionId": completion}}}, second)


def test_the_staffs_command_says_where_tickets_are_on_kubernetes(tmp_path: Path) -> None:
    settings = StandaloneSettings(data_dir=tmp_path, postgres_port=free_port())
    with pytest.raises(StartError, match=r"is `make run` up\? .* For tickets on Kubernetes see docs/kubernetes.md"):
        staff_url(settings)
    assert "\n## The staff's command\n" in (README.parents[2] / "docs/kubernetes.md").read_text()


def test_a_key_for_a_question_is_made_without_uuidgen(tmp_path: Path) -> None:
    (tmp_path / "date").symlink_to("/bin/date")
    (made,) = re.findall(r"Idempotency-Key: (\$\(.*?\))", (README.parents[2] / "README.md").read_text())
    done = subprocess.run(["/bin/sh", "-c", f'echo "{made}"'], env={"PATH": str(tmp_path)}, capture_output=True)
    assert re.fullmatch(rb"\d{10,}\n", done.stdout)
    assert done.stderr == b""


def test_steps_are_model_turns_and_tool_calls_with_their_time() -> None:
    journal = [
        run("begin", 1, 0),
        done(1, 0),
        call("UserDatabase", "is_customer", 2, 0),
        done(2, 0),
        run("model turn 1", 3, 1),
        done(3, 3),
        call("UserDatabase", "query_user_database", 4, 3),
        run("tool check_service_status", 5, 3),
        done(5, 4),
    ]

    assert read_steps(journal, TOOLS) == [
        Step("model turn 1", 2.0),
        Step("tool query_user_database", None),
        Step("tool check_service_status", 1.0),
    ]


def test_a_revision_names_the_code_of_one_service() -> None:
    assert revision_of("users") == revision_of("users")
    assert revision_of("users") != revision_of("tickets")


def test_passwords_are_made_once_and_are_private(tmp_path: Path) -> None:
    first = read_passwords(tmp_path)

    assert read_passwords(tmp_path) == first
    assert len(set(first.values())) == len(first)
    assert (tmp_path / "passwords.json").stat().st_mode & 0o777 == 0o600


def test_a_role_url_keeps_what_the_administrator_url_says() -> None:
    database = Database("postgresql://admin:a%40b@db.example:6432/app?sslmode=require", {"users_app": "p/w"})

    assert database.url("users", "app") == "postgresql://users_app:p%2Fw@db.example:6432/app?sslmode=require"


def test_a_password_beside_the_administrator_url_is_taken_as_it_is() -> None:
    settings = StandaloneSettings.model_validate(
        {"database_url": "postgresql://admin@db.example/app?sslmode=require", "database_password": "p@:/?#%"}
    )

    url = URL(administrator(settings, {}))

    assert (url.user, url.password, url.host) == ("admin", "p@:/?#%", "db.example")
    assert url.query_string == "sslmode=require"


def test_ports_of_parts_that_are_not_started_are_not_asked_for() -> None:
    settings = StandaloneSettings.model_validate(
        {"database_url": "postgresql://x", "openai_api_key": "sk", "prometheus_port": 0, "users_metrics_port": 0}
    )

    unused = {"POSTGRES_PORT", "DEMO_MODEL_PORT", "DEMO_MODEL_METRICS_PORT", "PROMETHEUS_PORT", "USERS_METRICS_PORT"}
    assert not unused & settings.ports().keys()
    assert settings.ports()["RESTATE_INGRESS_PORT"] == 8080


def test_every_part_that_tells_metrics_is_scraped_under_the_name_of_its_room() -> None:
    settings = StandaloneSettings.model_validate({"openai_api_key": "sk", "users_metrics_port": 0})

    assert settings.scraped() == {
        "router": 9181,
        "tickets": 9183,
        "conversations": 9187,
        "gateway": 9189,
        "console": 9191,
        "registry": 9184,
        "restate": 5122,
    }


def test_restate_sends_its_spans_where_ours_go_unless_told_otherwise() -> None:
    ours = {"tools_dir": Path(".tools"), "otel_exporter_otlp_endpoint": "http://collector:4318/"}

    def sent(**more: str) -> str | None:
        settings = StandaloneSettings.model_validate({**ours, **more})
        return services.restate(settings).process.program.env.get("RESTATE_TRACING_ENDPOINT")

    assert sent() == "otlp+http://collector:4318/v1/traces"
    assert sent(otel_exporter_otlp_endpoint="https://c") == "otlp+https://c/v1/traces"
    assert sent(otel_exporter_otlp_endpoint="") is None
    assert sent(restate_tracing_endpoint="http://other:4317") is None, "it is inherited"


def test_prometheus_is_told_of_every_job_and_every_rule(tmp_path: Path) -> None:
    told = configuration({"users": 9182, "restate": 5122}, [tmp_path / "A.yaml"], "5s")

    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in told["scrape_configs"]}
    assert targets == {"users": ["127.0.0.1:9182"], "restate": ["127.0.0.1:5122"]}
    assert told["rule_files"] == [str(tmp_path / "A.yaml")]


def test_the_readme_lists_every_setting_with_its_default() -> None:
    section = README.read_text().split("## Configuration")[1].split("## ")[0]
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| ?`?(.*?)`? ?\|", section, re.MULTILINE))

    defaults = {name.upper(): field.default for name, field in StandaloneSettings.model_fields.items()}
    assert table == {
        name: "" if default is None or isinstance(default, SecretStr) else str(default)
        for name, default in defaults.items()
    }


def test_restate_listens_on_loopback_alone() -> None:
    addresses = {name: value for name, value in environment(Ports(), 2).items() if "ADDRESS" in name}

    assert len(addresses) == 5
    assert all("127.0.0.1:" in value for value in addresses.values())


def test_a_missing_restate_server_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="make install"):
        binary(tmp_path)


def test_a_refused_model_request_names_the_setting_that_the_router_logged(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "router.log"
    log.parent.mkdir()
    log.write_text('{"event": "serving"}\n{"event": "model_refused", "status": 404, "mend": "OPENAI_MODEL"}\n')

    assert advice(tmp_path).startswith("setting OPENAI_MODEL: ")


CHECKED = {"seconds": 12.5, "prompt_tokens": 229, "fewest_tokens": 700, "mend": "OPENAI_MODEL", "left": 0}
SHOWN = {
    "fit": "m at here is fit",
    "slow": "m at here is slow: prompt and tools, 229 tokens, took 12.5 s; see OPENAI_MODEL",
    "tools_dropped": "m at here drops tools, or cuts the prompt: it read 229 tokens, which should be 700 at least",
    "context_too_small": "m at here has too small a context",
    "no_answer": "m at here did not answer within 12.5 s; see OPENAI_MODEL",
}


@pytest.mark.parametrize("found", SHOWN)
async def test_what_the_router_finds_at_start_is_shown(tmp_path: Path, found: str) -> None:
    shown = await followed(tmp_path, checked(found))
    assert len(shown) == 1
    assert shown[0].startswith(SHOWN[found])


async def test_an_endpoint_that_refuses_ends_the_start_unless_it_is_a_fallback(tmp_path: Path) -> None:
    refused = {"event": "model_refused", "mend": "OPENAI_API_KEY", "status": 401}
    with pytest.raises(StartError, match=r"setting OPENAI_API_KEY: .*status 401"):
        await followed(tmp_path, refused, checked("refused"))
    shown = await followed(tmp_path, checked("fit", left=1), refused, checked("refused"))
    assert [line.split(" at here ")[1][:7] for line in shown] == ["is fit:", "refuses"]


def checked(found: str, **more: Any) -> dict[str, Any]:
    return {"event": "model_checked", "endpoint": "m at here", "found": found} | CHECKED | more


async def followed(folder: Path, *lines: dict[str, Any]) -> list[str]:
    waits = {"event": "model_check_waits", "endpoint": "m at here", "reason": ""}
    (folder / "logs").mkdir(exist_ok=True)
    (folder / "logs" / "router.log").write_text("".join(json.dumps(line) + "\n" for line in (waits, *lines)))
    shown: list[str] = []
    await follow_check(folder, shown.append)
    return shown


def test_only_a_real_model_is_asked_at_start(tmp_path: Path) -> None:
    def asked(**more: Any) -> str:
        settings = StandaloneSettings(data_dir=tmp_path, **more)
        database = Database(administrator(settings, passwords := read_passwords(tmp_path)), passwords)
        return services.router(settings, database).env["OPENAI_CHECK_AT_START"]

    assert asked() == "false"
    assert asked(openai_base_url="http://127.0.0.1:1/v1") == "True"
    assert asked(openai_base_url="http://127.0.0.1:1/v1", openai_check_at_start=False) == "False"


def test_the_user_chooses_the_status_page_and_who_knows_customers(tmp_path: Path) -> None:
    url, check = "https://status.example/summary.json", "Crm/is_customer"
    settings = StandaloneSettings(data_dir=tmp_path, status_url=url, customer_check=check)
    passwords = read_passwords(tmp_path)
    program = services.router(settings, Database(administrator(settings, passwords), passwords))
    assert (program.env["STATUS_URL"], program.env["CUSTOMER_CHECK"]) == (url, check)


@pytest.mark.parametrize(
    ("environment", "direct"),
    [
        ({}, "127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "corp.example"}, "corp.example,127.0.0.1,localhost,::1"),
        ({"NO_PROXY": "a", "no_proxy": "b"}, "b,127.0.0.1,localhost,::1"),
    ],
)
def test_parts_reach_one_another_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], direct: str
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert {inherited()["NO_PROXY"], inherited()["no_proxy"]} == {direct}


@pytest.mark.parametrize(
    ("told", "ours"),
    [
        ({"openai_preset": "llamacpp"}, "RESTATE_INGRESS_PORT"),
        ({"openai_base_url": "http://localhost:9081/v1"}, "ROUTER_PORT"),
        ({"openai_base_url": "http://127.0.0.1:8081/v1"}, ""),
        ({"openai_preset": "llamacpp", "restate_ingress_port": 8180}, ""),
        ({"openai_base_url": "https://models.example:8080/v1"}, ""),
        ({}, ""),
    ],
)
def test_the_port_of_a_models_server_is_left_to_it(told: dict[str, Any], ours: str) -> None:
    settings = StandaloneSettings(**told)
    if not ours:
        check_port(settings)
        return
    with pytest.raises(StartError, match=f"is the model's .* set {ours} to another port"):
        check_port(settings)


FULL_INITDB = """
creating configuration files ... ok
running bootstrap script ... 2026-01-01 00:00:00 UTC [7] FATAL:  could not write to file "x": No space left on device
child process exited with exit code 1
initdb: removing contents of data directory "/data"
"""


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (FULL_INITDB, "the disk is full: running bootstrap script"),
        ("thread panicked: IO error: No space left on device: While appending\nbye", "the disk is full: thread"),
        ("OSError: [Errno 122] Disk quota exceeded: 'x'\n", "the disk is full: OSError"),
        ("initdb: error: program 'postgres' is needed\ninitdb: removing contents", "initdb: error: program"),
        ("one\n\nlast\n", "last"),
        ("", "it wrote no log"),
    ],
)
def test_what_ended_a_program_is_said_and_a_full_disk_by_its_name(written: str, said: str) -> None:
    assert cause(written, re.compile("initdb: error|FATAL")).startswith(said)


async def test_a_full_disk_is_named_when_the_database_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    initdb = tmp_path / "initdb"
    initdb.write_text(f"#!/bin/sh\ncat <<'END'\n{FULL_INITDB}\nEND\nexit 1\n")
    initdb.chmod(0o755)
    monkeypatch.setattr("standalone.postgres.binaries", lambda: tmp_path)
    with pytest.raises(StartError, match=r"^initdb failed: the disk is full: .*No space left on device"):
        await Postgres(tmp_path / "data", free_port(), "secret").prepare()


def test_the_program_at_a_port_is_named() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert str(os.getpid()) in who_listens(server.getsockname()[1])
    assert who_listens(free_port()) == ""


async def test_a_full_disk_is_one_line_wherever_it_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> dict[str, str]:
        raise OSError(errno.ENOSPC, "No space left on device", "passwords.json")

    said: list[str] = []
    monkeypatch.setattr("standalone.run.read_passwords", full)
    monkeypatch.setattr("standalone.run.complain", said.append)
    ports = {name: free_port() for name in StandaloneSettings.model_fields if name.endswith("_port")}
    assert await start(StandaloneSettings.model_validate({"data_dir": tmp_path, **ports})) == 1
    assert said == ["the disk is full: passwords.json: No space left on device"]
