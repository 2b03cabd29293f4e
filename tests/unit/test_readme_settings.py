"""The tables of settings in the READMEs of users, tickets, conversations, the gateway and the console."""

import re
from pathlib import Path
from types import ModuleType

import pytest
from pydantic import SecretStr

import console.settings
import conversations.settings
import gateway.settings
import tickets.settings
import users.settings
from runtime.postgres.commands import OwnerSettings
from runtime.settings import Settings

SERVICES = Path(__file__).parents[2] / "services"


@pytest.mark.parametrize(
    "module",
    [users.settings, tickets.settings, conversations.settings, gateway.settings, console.settings],
    ids=["users", "tickets", "conversations", "gateway", "console"],
)
def test_the_readme_lists_every_setting_with_its_default(module: ModuleType) -> None:
    readme = (SERVICES / module.__name__.partition(".")[0] / "README.md").read_text()
    section = readme.split("## Configuration")[1].split("## ")[0]
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| ?`?(.*?)`? ?\|", section, re.MULTILINE))
    read = [each for each in vars(module).values() if isinstance(each, type) and issubclass(each, Settings)]
    own = [settings for settings in read if settings.__module__ == module.__name__]
    migrated = [OwnerSettings] if hasattr(module, "SchemaSettings") else []
    assert table == {
        name.upper(): told(one.default) for each in (*own, *migrated) for name, one in each.model_fields.items()
    }


def told(default: object) -> str:
    if isinstance(default, SecretStr):
        return default.get_secret_value()
    if isinstance(default, float):
        return f"{default:g}"
    return str(default) if isinstance(default, str | int) else ""
