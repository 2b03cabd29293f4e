"""What is set for pip, uv and npm decides where `make install` loads from, and nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "services/standalone/install.py"
SHOW = "import json, os; print(json.dumps(dict(os.environ)))"
NOT_OURS = ("PIP_", "UV_", "NPM_", "npm_", "ALL_PROXY", "SSL_", "MAKE", "MFLAGS")


def run(*command: str, **env: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_OURS)}
    env = {**kept, "PIP_CONFIG_FILE": os.devnull, **env}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def told(**env: str) -> dict[str, str]:
    """What a program of `make install` is told."""
    return json.loads(run(sys.executable, str(SCRIPT), sys.executable, "-c", SHOW, **env))


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("index-url = https://pypi.example.com/simple", {"UV_DEFAULT_INDEX": "https://pypi.example.com/simple"}),
        (
            "extra-index-url =\n  https://one.example.com/simple\n  https://two.example.com/simple",
            {
                "UV_INDEX": "https://one.example.com/simple https://two.example.com/simple",
                "UV_INDEX_STRATEGY": "unsafe-best-match",
            },
        ),
        ("no-index = true\nfind-links = /wheels", {"UV_NO_INDEX": "1", "UV_FIND_LINKS": "/wheels"}),
        ("trusted-host = pypi.example.com", {"UV_INSECURE_HOST": "pypi.example.com"}),
        ("cert = /etc/ssl/company.pem", {"SSL_CERT_FILE": "/etc/ssl/company.pem"}),
        ("proxy = http://proxy.example.com:3128", {"ALL_PROXY": "http://proxy.example.com:3128"}),
    ],
)
def test_uv_loads_from_where_pip_does(tmp_path: Path, setting: str, expected: dict[str, str]) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\n{setting}\n")
    found = told(PIP_CONFIG_FILE=str(config))
    assert {name: found.get(name) for name in expected} == expected


def test_the_environment_wins_over_pips_files_and_uvs_own_settings_over_both(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://file.example.com/simple\n")
    of_pip = {"PIP_CONFIG_FILE": str(config), "PIP_INDEX_URL": "https://env.example.com/simple"}
    assert told(**of_pip)["UV_DEFAULT_INDEX"] == "https://env.example.com/simple"
    assert "UV_DEFAULT_INDEX" not in told(**of_pip, UV_INDEX_URL="https://uv.example.com/simple")


@pytest.mark.parametrize("name", ["PIP_TARGET", "PIP_CONSTRAINT", "UV_TARGET", "UV_REQUIRE_HASHES", "UV_NO_BUILD"])
def test_nothing_says_that_packages_go_elsewhere(tmp_path: Path, name: str) -> None:
    assert name not in told(**{name: str(tmp_path)})


@pytest.mark.parametrize("setting", ["user = true", "require-virtualenv = true"])
def test_pip_takes_a_virtual_environment_whatever_is_set(tmp_path: Path, setting: str) -> None:
    config = tmp_path / "pip.conf"
    config.write_text(f"[global]\n{setting}\n")
    pip = (sys.executable, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps", "--quiet", "pip")
    run(sys.executable, str(SCRIPT), *pip, PIP_CONFIG_FILE=str(config), PIP_USER="1")


def test_make_installs_by_it() -> None:
    commands = run("make", "--dry-run", "--always-make", ".venv/.installed")
    loading = [line for line in commands.splitlines() if " pip install " in line or " pip sync " in line]
    assert len(loading) == 3
    assert all("services/standalone/install.py" in line for line in loading)


@pytest.mark.parametrize(
    "setting",
    ["omit=optional", "omit=dev", "package-lock=false", "dry-run=true", "global=true", "package-lock-only=true"],
)
def test_npm_installs_all_that_is_locked_whatever_is_set(tmp_path: Path, setting: str) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "package.json").write_text('{"name": "part", "version": "1.0.0"}')
    wanted = {"optionalDependencies": {"part": "file:part"}}
    (tmp_path / "package.json").write_text(json.dumps({"name": "whole", "version": "1.0.0", **wanted}))
    link = {"resolved": "part", "link": True, "optional": True}
    packages = {"": {"name": "whole", "version": "1.0.0", **wanted}, "node_modules/part": link}
    packages["part"] = {"version": "1.0.0", "optional": True}
    lock = {"name": "whole", "lockfileVersion": 3, "packages": packages}
    (tmp_path / "package-lock.json").write_text(json.dumps(lock))
    (tmp_path / "npmrc").write_text(setting + "\n")
    show = "show: ; $(NPM) $(NPM_CI) --prefix '$(FOLDER)'"
    run("make", "--silent", "--eval", show, "show", f"FOLDER={tmp_path}", npm_config_userconfig=str(tmp_path / "npmrc"))
    assert (tmp_path / "node_modules/part/package.json").exists()
