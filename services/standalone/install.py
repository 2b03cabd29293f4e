"""Runs a command of `make install` with what this account has set for pip, as far as it says where packages come from.

    python services/standalone/install.py <program> ...

uv does not read pip's settings, so its own are made of them. Settings that say where packages go, or what else is
wanted, are left out: everything goes into .venv, as requirements.lock has it. Needs nothing but Python and pip.
"""

import os
import re
import subprocess
import sys
from ast import literal_eval
from collections.abc import Mapping

ELSEWHERE = {
    *("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_CONSTRAINT", "PIP_REQUIREMENT", "PIP_DRY_RUN", "PIP_NO_DEPS"),
    *("UV_TARGET", "UV_PREFIX", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE"),
    *("UV_EXCLUDE_NEWER", "UV_REQUIRE_HASHES", "UV_NO_BUILD", "UV_NO_BINARY"),
}
"""Variables that would lead packages elsewhere, or leave some out."""

INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_NO_INDEX", "UV_FIND_LINKS")


def main(command: list[str]) -> None:
    if not command:
        sys.exit(__doc__)
    os.execvpe(command[0], command, environment(os.environ, pip_settings()))  # noqa: S606, TID251


def environment(given: Mapping[str, str], pip: Mapping[str, str]) -> dict[str, str]:
    """What the command is told: uv's own settings win over those that follow from pip's."""
    kept = {name: value for name, value in given.items() if name not in ELSEWHERE}
    told = for_uv(pip)
    if any(name in kept for name in INDEXES):
        told = {name: value for name, value in told.items() if name not in (*INDEXES, "UV_INDEX_STRATEGY")}
    return {**told, **kept, "PIP_USER": "0"}


def for_uv(pip: Mapping[str, str]) -> dict[str, str]:
    """Pip takes the best file of all indexes, and so does uv then: the hashes of the lock say which one is right."""
    found = {
        "UV_DEFAULT_INDEX": pip.get("index-url"),
        "UV_INDEX": _words(pip.get("extra-index-url"), " "),
        "UV_INDEX_STRATEGY": "unsafe-best-match" if pip.get("extra-index-url") else None,
        "UV_FIND_LINKS": _words(pip.get("find-links"), ","),
        "UV_NO_INDEX": "1" if pip.get("no-index", "").lower() in ("1", "true", "yes", "on") else None,
        "UV_INSECURE_HOST": _words(pip.get("trusted-host"), " "),
        "SSL_CERT_FILE": pip.get("cert"),
        "SSL_CLIENT_CERT": pip.get("client-cert"),
        "ALL_PROXY": pip.get("proxy"),
    }
    return {name: value for name, value in found.items() if value}


def pip_settings() -> dict[str, str]:
    """Of this account, of the company and of the environment, as pip itself reads them."""
    command = [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return read_settings(listed.stdout)


def read_settings(listed: str) -> dict[str, str]:
    """Of lines such as `global.index-url='...'`: `install` wins over `global`, the environment over both."""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for section, name, value in re.findall(r"^(global|install|:env:)\.([a-z-]+)=(.*)$", listed, re.MULTILINE):
        found[section][name] = str(literal_eval(value))
    return {**found["global"], **found["install"], **found[":env:"]}


def _words(value: str | None, between: str) -> str | None:
    return between.join(value.split()) if value else None


if __name__ == "__main__":
    main(sys.argv[1:])
