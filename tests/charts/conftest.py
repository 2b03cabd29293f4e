"""A scratch namespace for what the charts render, or a loud word that there is none."""

import json
import shutil
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.charts.charts import ENVIRONMENT, tool

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
REQUIRED = ENVIRONMENT.get("REQUIRE_CLUSTER") == "1"

unreachable = pytest.StashKey[str]()


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Run only when asked for by name, as `make check` does: a plain `pytest` needs no helm."""
    asked = any("charts" in argument for argument in config.invocation_params.args)
    return None if asked else True


@pytest.fixture(scope="session")
def namespace(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """A namespace that runs restricted pods alone, in which nothing is made; None without a cluster."""
    if reason := why_no_cluster():
        if REQUIRED:
            pytest.fail(f"REQUIRE_CLUSTER=1, but no cluster answers: {reason}", pytrace=False)
        request.config.stash[unreachable] = reason
        yield None
        return
    name = f"chart-check-{uuid4().hex[:8]}"
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
    done = tool("kubectl", "create", "-f", "-", stdin=json.dumps(made))
    assert done.returncode == 0, done.stderr
    yield name
    tool("kubectl", "delete", "namespace", name, "--wait=false")


def why_no_cluster() -> str | None:
    if not shutil.which("kubectl", path=ENVIRONMENT["PATH"]):
        return "kubectl is missing"
    done = tool("kubectl", "get", "--raw", "/readyz", "--request-timeout=5s")
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if reason := config.stash.get(unreachable, None):
        terminalreporter.section("NOT CHECKED", red=True, bold=True)
        terminalreporter.write_line(f"No API server has seen what the charts render: {reason}", red=True)
        terminalreporter.write_line("At most its schemas did. REQUIRE_CLUSTER=1 makes this a failure.", red=True)
