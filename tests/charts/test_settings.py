"""Every environment variable that the chart sets is a setting of the program that gets it, and it starts with them."""

import base64
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import console.settings
import conversations.settings
import demo_model.settings
import gateway.settings
import registry.settings
import router.settings
import tickets.settings
import users.settings
from runtime.postgres.commands import OwnerSettings
from runtime.settings import Settings
from tests.charts.charts import SWITCHBOARD, ci_files, name_of, package_of, pods, rendered
from tests.parts.signed import KEYS, PRIVATE, PUBLIC

SETTINGS: dict[tuple[str, ...], tuple[type[Settings], ...]] = {
    ("router",): (router.settings.RouterSettings,),
    ("users",): (users.settings.UserSettings,),
    ("users", "provision"): (users.settings.AdminSettings,),
    ("users", "migrate"): (OwnerSettings,),
    ("users", "seed"): (OwnerSettings,),
    ("tickets",): (tickets.settings.TicketSettings,),
    ("tickets", "wait"): (tickets.settings.StaffSettings, tickets.settings.ActingSettings),
    ("tickets", "provision"): (tickets.settings.AdminSettings,),
    ("tickets", "migrate"): (OwnerSettings,),
    ("conversations",): (conversations.settings.ConversationSettings,),
    ("conversations", "provision"): (conversations.settings.AdminSettings,),
    ("conversations", "migrate"): (OwnerSettings,),
    ("gateway",): (gateway.settings.GatewaySettings,),
    ("console",): (console.settings.ConsoleSettings,),
    ("registry",): (registry.settings.RegistrySettings,),
    ("registry", "register"): (registry.settings.RegisterSettings,),
    ("registry", "prune"): (registry.settings.PruneSettings,),
    ("registry", "remove"): (registry.settings.RemoveSettings,),
    ("demo_model",): (demo_model.settings.DemoModelSettings,),
}
"""What each program reads."""

OF_LIBRARIES = {"PGSSLROOTCERT"}
"""What PostgreSQL's clients read themselves."""

SECRETS = {
    "NAMES_SECRET": "n" * 32,
    "SIGNING_KEY": PRIVATE,
    "STAFF_KEY": PRIVATE,
    "STAFF_KEYS": PUBLIC,
    "SESSION_SECRET": "s" * 32,
    "WEBHOOK_SECRET": "whsec_" + base64.b64encode(bytes(32)).decode(),
    "OPENAI_FALLBACKS": "[]",
}
"""Secrets that must look like something; any other is any text."""

PEM = generate_private_key(65537, 2048).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

CALLER_KEYS = {"EdDSA": PUBLIC, "RS256": PEM.decode()}
"""By the algorithm that they fit."""

FILES = {"PROMPT_FILE": str(router.settings.PROMPT)}
"""Files that only a pod has, and what stands for them here."""

PORTS = ("port", "watch_port")
"""Settings that name a port, in the order of the ports of a container."""

Container = Mapping[str, Any]


def programs(file: Path) -> Iterator[tuple[str, tuple[str, ...], Container]]:
    """Owner, program and container of everything of ours that starts with `python -m`."""
    for pod in pods(rendered(file)):
        for container in pod.containers:
            package = package_of(container)
            if package and "command" not in container:
                yield pod.owner, (package, *container.get("args", [])), container


def environment(container: Container) -> dict[str, str]:
    given = container.get("env", [])
    algorithm = next((each["value"] for each in given if each["name"] == "CALLER_ALGORITHM"), "EdDSA")
    secrets = SECRETS | KEYS | {"CALLER_KEYS": CALLER_KEYS[algorithm]}
    return {each["name"]: each.get("value", secrets.get(each["name"], "secret")) for each in given} | {
        each["name"]: FILES[each["name"]] for each in given if each["name"] in FILES
    }


@pytest.mark.parametrize("file", ci_files(SWITCHBOARD), ids=name_of)
def test_every_variable_is_a_setting(file: Path) -> None:
    unknown = [
        f"{owner}: {' '.join(program)} knows no {name}"
        for owner, program, container in programs(file)
        for name in environment(container)
        if name not in OF_LIBRARIES and not any(name.lower() in settings.model_fields for settings in SETTINGS[program])
    ]
    assert unknown == []


def _is_there(_path: str, _said: str) -> None:
    """A file of certificates is in the pod, not here."""


@pytest.mark.parametrize("file", ci_files(SWITCHBOARD), ids=name_of)
def test_every_program_takes_its_settings(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.settings.check_file", _is_there)
    for owner, program, container in programs(file):
        with monkeypatch.context() as patch:
            for name, value in environment(container).items():
                patch.setenv(name, value)
            for settings in SETTINGS[program]:
                assert settings.read(), owner


@pytest.mark.parametrize("file", ci_files(SWITCHBOARD), ids=name_of)
def test_no_variable_is_set_twice(file: Path) -> None:
    for owner, _, container in programs(file):
        names = [each["name"] for each in container.get("env", [])]
        assert len(names) == len(set(names)), owner


def test_together_the_files_start_every_program() -> None:
    started = {program for file in ci_files(SWITCHBOARD) for _, program, _ in programs(file)}
    assert started == set(SETTINGS)


def test_a_service_listens_where_its_ports_say() -> None:
    for file in ci_files(SWITCHBOARD):
        for owner, program, container in programs(file):
            ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            if ports:
                (settings,) = SETTINGS[program][:1]
                assert ports.pop("metrics") == int(environment(container)["METRICS_PORT"]), owner
                assert ports.pop("desk", 0) == int(environment(container).get("DESK_PORT", 0)), owner
                served = [settings.model_fields[name].default for name in PORTS if name in settings.model_fields]
                assert list(ports.values()) == served, owner


def test_the_question_of_helm_test_reads_just_what_it_is_given() -> None:
    read = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', (SWITCHBOARD / "files" / "ask.py").read_text()))
    given = {
        each["name"]
        for file in ci_files(SWITCHBOARD)
        for pod in pods(rendered(file))
        if pod.component == "test"
        for each in pod.spec["containers"][0]["env"]
    }
    assert given == read
