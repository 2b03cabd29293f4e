"""The import rule of the rooms under `services/`, and two habits; read off the source alone."""

import ast
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

SERVICES = Path(__file__).parents[2] / "services"

MAY_IMPORT = {
    "contracts": {"contracts"},
    "runtime": {"runtime", "contracts"},
    "router": {"router", "contracts", "runtime"},
    "users": {"users", "contracts", "runtime"},
    "tickets": {"tickets", "contracts", "runtime"},
    "conversations": {"conversations", "contracts", "runtime"},
    "registry": {"registry", "contracts", "runtime"},
    "gateway": {"gateway", "contracts", "runtime"},
    "console": {"console", "contracts", "runtime"},
    "demo_model": {
        "demo_model",
        "runtime.settings",
        "runtime.telemetry.logs",
        "runtime.telemetry.metrics",
        "runtime.sigterm",
    },
    "standalone": {
        *("standalone", "contracts", "runtime"),
        *("router", "users", "tickets", "conversations", "registry", "demo_model", "gateway", "console"),
    },
}
"""A room, and what it may import of ours."""

IMPORTED_ONLY_BY = {
    "hypercorn": "runtime",
    "granian": "runtime",
    "celpy": "runtime",
    "opentelemetry": "runtime",
    "prometheus_client": "runtime",
    "openai": "router.model",
}

READS_THE_ENVIRONMENT = {"runtime.settings", "standalone.process"}
"""The settings, and the supervisor, whose children inherit what it was started with."""


def modules() -> dict[str, str]:
    """Every module of the services by its dotted name, with its source."""
    found: dict[str, str] = {}
    for file in sorted(SERVICES.glob("*/src/*/**/*.py")):
        parts = file.relative_to(SERVICES).with_suffix("").parts[2:]
        found[".".join(parts).removesuffix(".__init__")] = file.read_text()
    return found


def faults(module: str, source: str) -> list[str]:
    """What `module` does against the rules, each with its line."""
    tree = ast.parse(source)
    room = module.partition(".")[0]
    found = [
        *((line, fault) for line, name in imported(tree) for fault in import_faults(module, room, name)),
        *environment_faults(module, tree),
        *catch_all_faults(tree),
    ]
    return [f"{module}:{line} {fault}" for line, fault in sorted(set(found))]


def imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import, also those inside functions; a relative one stays in its room."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, each.name) for each in names)
            case ast.ImportFrom(module=str(origin), names=names, level=0):
                yield from ((node.lineno, f"{origin}.{each.name}") for each in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield node.lineno, name
            case _:
                pass


def import_faults(module: str, room: str, name: str) -> Iterator[str]:
    package = name.partition(".")[0]
    if package in MAY_IMPORT:
        if not is_within(name, MAY_IMPORT[room]):
            yield f"{room} may not import {name}"
    elif room == "contracts" and package not in {"pydantic", *sys.stdlib_module_names}:
        yield f"contracts imports pydantic and the standard library alone, not {package}"
    only = IMPORTED_ONLY_BY.get(package)
    if only is not None and not is_within(module, {only}):
        yield f"only {only} may import {package}"


def circles(sources: dict[str, str]) -> list[list[str]]:
    """Modules that import one another, on whatever way: each circle once, from its first name on."""
    edges = {module: sorted(imports_of(module, source, sources.keys())) for module, source in sources.items()}
    found: dict[frozenset[str], list[str]] = {}
    done: set[str] = set()

    def walk(module: str, path: list[str]) -> None:
        if module in path:
            circle = path[path.index(module) :]
            first = circle.index(min(circle))
            found.setdefault(frozenset(circle), circle[first:] + circle[:first])
        elif module not in done:
            for each in edges[module]:
                walk(each, [*path, module])
            done.add(module)

    for module in edges:
        walk(module, [])
    return sorted(found.values())


def imports_of(module: str, source: str, known: Collection[str]) -> set[str]:
    """The known modules that one imports, also inside functions and for types alone."""
    found: set[str] = set()
    for _, name in imported(ast.parse(source)):
        parts = name.split(".")
        names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
        found |= set([each for each in names if each in known][:1])
    return found - {module}


def is_within(name: str, allowed: set[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in allowed)


def environment_faults(module: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    if module in READS_THE_ENVIRONMENT:
        return
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr="environ" | "environb" | "getenv" | "getenvb"):
                yield node.lineno, "reads the environment; runtime.settings does"
            case ast.ImportFrom(module="os", names=names) if any("env" in each.name for each in names):
                yield node.lineno, "reads the environment; runtime.settings does"
            case _:
                pass


def catch_all_faults(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Catching everything around a `ctx` call swallows cancellation and suspension."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and takes_context(function):
            yield from ((line, "catches everything around ctx") for line in catch_alls(function))


def takes_context(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    given = function.args
    return any(argument.arg == "ctx" for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs))


def catch_alls(function: ast.AST) -> Iterator[int]:
    for node in ast.walk(function):
        match node:
            case ast.ExceptHandler(type=None):
                yield node.lineno
            case ast.ExceptHandler(type=ast.expr() as caught) if is_everything(caught):
                yield node.lineno
            case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=caught):
                yield from (node.lineno for each in caught if is_everything(each))
            case _:
                pass


def is_everything(caught: ast.expr) -> bool:
    names = {node.id for node in ast.walk(caught) if isinstance(node, ast.Name)}
    return not names.isdisjoint({"Exception", "BaseException"})


def test_every_module_keeps_the_rules() -> None:
    assert [fault for module, source in modules().items() for fault in faults(module, source)] == []


def test_no_module_imports_itself_on_any_way() -> None:
    assert circles(modules()) == []


def test_a_planted_circle_is_found() -> None:
    sources = {
        "users.a": "def late():\n    from users import b",
        "users.b": "from users.c import x",
        "users.c": "if TYPE_CHECKING:\n    from users.a import y",
        "users.d": "import users.a",
    }
    assert circles(sources) == [["users.a", "users.b", "users.c"]]


def test_every_room_has_a_rule() -> None:
    assert {module.partition(".")[0] for module in modules()} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    ("module", "source", "fault"),
    [
        ("router.agent", "import users", "router may not import users"),
        ("router.agent", "from users.store import Store", "router may not import users.store.Store"),
        ("users.store", "def late():\n    from tickets import model", "users may not import tickets.model"),
        ("tickets.store", "import registry.catalogue as c", "tickets may not import registry.catalogue"),
        ("registry.web", "import importlib\nimportlib.import_module('router')", "registry may not import router"),
        ("registry.web", "import standalone", "registry may not import standalone"),
        ("runtime.serving", "from router import agent", "runtime may not import router.agent"),
        ("contracts.tool", "from runtime.errors import Refused", "contracts may not import runtime.errors.Refused"),
        ("contracts.tool", "import restate", "contracts imports pydantic and the standard library alone, not restate"),
        ("demo_model.app", "from runtime.serving import serve", "demo_model may not import runtime.serving.serve"),
        ("demo_model.app", "from contracts import Tool", "demo_model may not import contracts.Tool"),
        ("users.__main__", "from hypercorn.asyncio import serve", "only runtime may import hypercorn"),
        ("router.__main__", "import granian", "only runtime may import granian"),
        ("tickets.desk", "from opentelemetry import trace", "only runtime may import opentelemetry"),
        ("standalone.app", "import prometheus_client", "only runtime may import prometheus_client"),
        ("router.agent", "from openai import AsyncOpenAI", "only router.model may import openai"),
        ("router.models", "import openai", "only router.model may import openai"),
        ("runtime.telemetry", "import openai", "only router.model may import openai"),
        ("router.agent", "import os\nos.environ['A']", "reads the environment; runtime.settings does"),
        ("router.agent", "import os\nos.getenv('A')", "reads the environment; runtime.settings does"),
        ("runtime.serving", "from os import environ", "reads the environment; runtime.settings does"),
        ("users.a", "async def f(ctx):\n try: pass\n except: pass", "catches everything around ctx"),
        ("users.a", "async def f(ctx):\n try: pass\n except Exception: pass", "catches everything around ctx"),
        ("users.a", "def f(a, *, ctx):\n try: pass\n except BaseException: pass", "catches everything around ctx"),
        (
            "users.a",
            "def f(a, ctx):\n try: pass\n except (OSError, Exception): pass",
            "catches everything around ctx",
        ),
        ("users.a", "def f(ctx):\n def g():\n  try: pass\n  except Exception: pass", "catches everything around ctx"),
        ("users.a", "def f(ctx):\n with suppress(Exception): pass", "catches everything around ctx"),
        ("users.a", "def f(ctx):\n with contextlib.suppress(Exception): pass", "catches everything around ctx"),
    ],
)
def test_a_planted_fault_is_found(module: str, source: str, fault: str) -> None:
    (found,) = faults(module, source)
    assert found.startswith(f"{module}:")
    assert found.endswith(f" {fault}")


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("router.agent", "from contracts import Question\nfrom runtime.errors import Refused\nfrom router import plan"),
        ("router.model", "import openai"),
        ("runtime.telemetry", "from opentelemetry import trace"),
        ("standalone.app", "import users, tickets, router, registry, demo_model"),
        ("demo_model.app", "from runtime.settings import Settings\nfrom runtime.telemetry import logs"),
        ("contracts.tool", "import enum\nfrom pydantic import BaseModel\nfrom contracts.answer import Answer"),
        ("users.a", "from . import store\nfrom .tickets import late"),
        ("runtime.settings", "import os\nos.environ"),
        ("users.a", "def f(pool):\n try: pass\n except Exception: pass"),
        ("users.a", "async def f(ctx):\n try: pass\n except TerminalError: pass"),
        ("users.a", "import psutil\npsutil.Process().environ()"),
    ],
)
def test_what_the_rules_allow_is_no_fault(module: str, source: str) -> None:
    assert faults(module, source) == []
