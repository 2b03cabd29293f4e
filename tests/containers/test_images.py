"""Each image: what is in it, that it runs with nothing but a temp directory, and that it leaves when told to."""

from pathlib import Path

import pytest

from tests.containers.conftest import Container, Run, docker, image
from tests.parts.signed import PRIVATE

GATEWAY = (
    *("--env", f"SIGNING_KEY={PRIVATE}", "--env", f"NAMES_SECRET={'n' * 32}"),
    *("--env", 'DEMO_CUSTOMERS=[{"user_id": "user_12345", "name": "Mara"}]'),
)
CONSOLE = (
    *("--env", f"STAFF_KEY={'k' * 32}", "--env", f"SESSION_SECRET={'s' * 32}"),
    *("--env", 'DEMO_STAFF=[{"name": "ada", "roles": ["agent"]}]'),
)
SERVING = {
    "router": (9081, ("--env", "TRUST_USER_ID=true", "--env", f"CALL_KEY={PRIVATE}")),
    "gateway": (9089, GATEWAY),
    "console": (9091, CONSOLE),
    "registry": (9084, ()),
    "demo_model": (9085, ()),
}
"""Rooms that serve with nothing beside them: their port and what they must be told."""

WITH_DATABASE = ("users", "tickets", "conversations")
ROOMS = (*SERVING, *WITH_DATABASE)

FIRST_PAGE = "import urllib.request as it; print(it.urlopen('http://127.0.0.1:9091/login').read().decode())"

MAX_MEGABYTES_OVER_BASE = 150
COLD_START_SECONDS = 30.0
IDLE_EXIT_SECONDS = 5.0

TOOLS = ("pip", "pip3", "uv", "uvx", "gcc", "cc", "c++", "ld", "as", "make")


def inside(room: str, *command: str) -> str:
    """The output of a program in a room's image."""
    return docker("run", "--rm", "--read-only", "--entrypoint", command[0], image(room), *command[1:])


def python(room: str, program: str) -> str:
    return inside(room, "/app/.venv/bin/python", "-c", program)


def serve(run: Run, room: str) -> Container:
    port, options = SERVING[room]
    return run(room, "--env", "HOST=0.0.0.0", "--publish", f"127.0.0.1::{port}", *options)


@pytest.mark.parametrize("room", SERVING)
def test_it_serves_with_a_read_only_root_and_leaves_when_told_to(
    run: Run, room: str, capsys: pytest.CaptureFixture[str]
) -> None:
    container = serve(run, room)
    start = container.within(COLD_START_SECONDS, lambda it: it.healthy(SERVING[room][0]))
    container.send("TERM")
    left = container.within(IDLE_EXIT_SECONDS, lambda it: not it.running)
    assert container.exit_code == 0
    with capsys.disabled():
        print(f"\n{room}: first answer after {start:.2f} s, gone {left:.2f} s after SIGTERM")


def test_the_console_shows_its_first_page(run: Run) -> None:
    container = serve(run, "console")
    container.within(COLD_START_SECONDS, lambda it: it.healthy(9091))
    page = docker("exec", container.id, "/app/.venv/bin/python", "-c", FIRST_PAGE)
    assert "ada" in page
    assert "stylesheet" in page


@pytest.mark.parametrize("room", WITH_DATABASE)
def test_it_says_which_setting_it_lacks(run: Run, room: str) -> None:
    container = run(room)
    container.within(COLD_START_SECONDS, lambda it: not it.running)
    assert container.exit_code == 1
    assert "setting DATABASE_URL: Field required" in container.log


@pytest.mark.parametrize("room", WITH_DATABASE)
def test_a_command_reaches_the_room(run: Run, room: str) -> None:
    container = run(room, command=("migrate",))
    container.within(COLD_START_SECONDS, lambda it: not it.running)
    assert "setting MIGRATION_DATABASE_URL: Field required" in container.log


@pytest.mark.parametrize("room", ROOMS)
def test_it_leaves_while_it_is_still_being_imported(run: Run, room: str, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('importing')\ntime.sleep(60)\n")
    tmp_path.chmod(0o755)
    container = run(room, "--volume", f"{tmp_path}:/slow:ro", "--env", "PYTHONPATH=/slow", "--env", "SERVICE=slow")
    container.within(COLD_START_SECONDS, lambda it: "importing" in it.log)
    container.send("TERM")
    container.within(IDLE_EXIT_SECONDS, lambda it: not it.running)


@pytest.mark.parametrize("room", ROOMS)
def test_it_holds_no_tools_to_build_with(room: str) -> None:
    found = inside(room, "sh", "-c", f"for tool in {' '.join(TOOLS)}; do command -v $tool; done; ls /app/.venv/bin")
    assert not [line for line in found.splitlines() if line.rpartition("/")[2] in TOOLS]
    assert python(room, "import importlib.util as it; print(it.find_spec('pip'))") == "None"


@pytest.mark.parametrize("room", ROOMS)
def test_it_holds_one_room_and_what_that_needs(room: str) -> None:
    names = "router users tickets conversations gateway console registry demo_model standalone openai"
    found = python(room, f"import importlib.util as it; print(*filter(it.find_spec, '{names}'.split()))")
    assert found.split() == (["router", "openai"] if room == "router" else [room])


@pytest.mark.parametrize("room", ROOMS)
def test_its_code_is_compiled_and_belongs_to_root(room: str) -> None:
    assert inside(room, "sh", "-c", "find /app ! -user root -o ! -type l -perm /022") == ""
    cached = python(room, f"import {room}, pathlib; print(pathlib.Path({room}.__cached__).is_file())")
    assert cached == "True"


@pytest.mark.parametrize("room", ROOMS)
def test_its_user_is_a_number_that_is_not_root(room: str) -> None:
    assert docker("image", "inspect", "--format", "{{.Config.User}}", image(room)) == "10001:10001"


@pytest.mark.parametrize("room", ROOMS)
def test_it_adds_little_to_its_base(room: str, capsys: pytest.CaptureFixture[str]) -> None:
    own = int(inside(room, "du", "--summarize", "--bytes", "/app").split()[0]) / 1e6
    whole = int(docker("image", "inspect", "--format", "{{.Size}}", image(room))) / 1e6
    with capsys.disabled():
        print(f"\n{room}: {own:.0f} MB, with its base {whole:.0f} MB")
    assert own <= MAX_MEGABYTES_OVER_BASE
