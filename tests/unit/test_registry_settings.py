"""The registry's settings, and the table of them in its README."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from registry.settings import RegistrySettings

README = Path(__file__).parents[2] / "services" / "registry" / "README.md"


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


def test_the_readme_lists_every_setting_with_its_default() -> None:
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| ?`?(.*?)`? ?\|", README.read_text(), re.MULTILINE))
    assert table == {name.upper(): told(field.get_default(call_default_factory=True)) for name, field in fields()}


def fields():
    return RegistrySettings.model_fields.items()


def told(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return ",".join(default) if isinstance(default, tuple) else str(default or "")
