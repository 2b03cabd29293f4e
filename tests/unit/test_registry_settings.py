"""The registry's settings, and the table of them in its README."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from registry.settings import (
    AcceptSettings,
    PruneSettings,
    RegisterSettings,
    RegistrySettings,
    RemoveSettings,
    deployments_in,
)
from runtime.settings import Settings

README = (Path(__file__).parents[2] / "services" / "registry" / "README.md").read_text()


def test_deployments_are_names_and_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYMENTS", "users=http://users:9082/rev/1, tickets = http://tickets:9083 ,")
    assert RegistrySettings().deployments == {"users": "http://users:9082/rev/1", "tickets": "http://tickets:9083"}


@pytest.mark.parametrize(
    "value", ["users", "users=", "=http://users", "users=users:9082", "users=ftp://users", "a=http://b,a=http://c"]
)
def test_a_deployment_that_restate_could_not_call_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DEPLOYMENTS", value)
    with pytest.raises(ValidationError):
        RegistrySettings()


@pytest.mark.parametrize(
    ("told", "advice"),
    [({"RECORD_DIR": "/tmp/record"}, "STAFF_KEYS"), ({"STAFF_KEYS": "x" * 32}, "RECORD_DIR or RECORD_CONFIGMAP")],
    ids=str,
)
def test_a_desk_that_lets_nobody_in_or_forgets_is_refused(
    monkeypatch: pytest.MonkeyPatch, told: dict[str, str], advice: str
) -> None:
    monkeypatch.setenv("DESK_PORT", "9092")
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=f"DESK_PORT needs {advice}"):
        RegistrySettings()


def test_deployments_keep_their_order() -> None:
    assert list(deployments_in("users=http://u,tickets=http://t,router=http://r")) == ["users", "tickets", "router"]


def test_deployments_that_cannot_be_read_are_told_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"^expected name=url,name=url with http URLs, at 'users'$"):
        deployments_in("users")


@pytest.mark.parametrize(
    ("heading", "settings"),
    [
        ("Configuration", RegistrySettings),
        ("`register`", RegisterSettings),
        ("`prune`", PruneSettings),
        ("`remove`", RemoveSettings),
        ("`accept`", AcceptSettings),
    ],
)
def test_the_readme_lists_every_setting_with_its_default(heading: str, settings: type[Settings]) -> None:
    section = README.split(f"# {heading}\n")[1].split("\n#")[0]
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| ?`?(.*?)`? ?\|", section, re.MULTILINE))
    fields = settings.model_fields.items()
    assert table == {
        name.upper(): "required" if field.is_required() else told(field.get_default(call_default_factory=True))
        for name, field in fields
    }


def told(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, tuple) else "" if default in (None, {}) else str(default)
