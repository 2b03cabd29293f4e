"""Namespaces with the product in them, on the cluster of the current kubeconfig."""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.cluster.parts.diagnosis import dump
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.product import VALUES, Product
from tests.cluster.parts.settings import ROOT, SETTINGS

Note = Callable[[str], None]
NewNamespace = Callable[[str], Awaitable[Namespace]]

_notes: list[str] = []
_namespaces: list[Namespace] = []
"""Which a failing test shows."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "smoke: what CI runs of the cluster tests")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Run only when asked for by name: a plain `pytest` must not touch a cluster."""
    asked = any("cluster" in argument for argument in config.invocation_params.args)
    return None if asked else True


@pytest.fixture(scope="session", autouse=True)
def _images() -> None:
    if not (ROOT / SETTINGS.images_file).exists():
        pytest.fail(f"{SETTINGS.images_file} is missing: run `make images`", pytrace=False)


@pytest.fixture(scope="session")
def note() -> Note:
    """What was measured, told at the end of the session."""
    return _notes.append


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in _notes:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
async def new_namespace() -> AsyncIterator[NewNamespace]:
    """Makes a namespace in place of an older one of the same name; all are deleted in the end."""

    async def make(suffix: str) -> Namespace:
        namespace = Namespace(f"{SETTINGS.namespace_prefix}-{suffix}")
        await namespace.create()
        _namespaces.append(namespace)
        return namespace

    yield make
    for namespace in _namespaces:
        await namespace.end()


@pytest.fixture(scope="session")
async def product(new_namespace: NewNamespace, note: Note) -> AsyncIterator[Product]:
    """The demo, which most tests share. They leave it as it was: idle, and of its first version."""
    product = Product(await new_namespace("main"), VALUES)
    began = time.monotonic()
    await product.release.install()
    note(f"install: Ready and registered after {time.monotonic() - began:.0f} s")
    await product.open()
    yield product
    await product.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.failed:
        test = re.sub(r"\W+", "-", item.name).strip("-")
        for namespace in filter(lambda each: each.exists, _namespaces):
            report.sections.append((f"namespace {namespace.name}", dump(namespace.name, test)))
    return report
