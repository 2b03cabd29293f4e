"""The demo model's settings and faults, and the tables of them in its README."""

import re
from pathlib import Path

from demo_model.double.faults import FAULTS
from demo_model.settings import DemoModelSettings

README = (Path(__file__).parents[2] / "services" / "demo_model" / "README.md").read_text()


def test_the_readme_lists_every_setting_with_its_default() -> None:
    section = README.split("## Configuration")[1].split("## ")[0]
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| ?`?(.*?)`? ?\|", section, re.MULTILINE))
    fields = DemoModelSettings.model_fields.items()
    assert table == {name.upper(): _shown(field.default) for name, field in fields}


def test_the_readme_names_every_fault() -> None:
    section = README.split("## Faults")[1].split("## ")[0]
    assert set(FAULTS) <= set(re.findall(r"`([a-z0-9_]+)`", section))


def _shown(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, float):
        return f"{default:g}"
    return str(default).lower() if isinstance(default, bool) else str(default)
