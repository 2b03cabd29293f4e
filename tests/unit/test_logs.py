"""What a process writes about itself: a process of its own says all kinds of things, and its lines are read."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SECRET = "jane@example.org"
WORDS = f"""
import asyncio, logging, threading, warnings
from restate.server_context import restate_context_is_replaying
from runtime.telemetry.logs import configure_logs, get_logger

configure_logs("users")
log = get_logger("users.part")
library = logging.getLogger("some.library")
secret = "{SECRET}"

def fail():
    try:
        int(secret)
    except ValueError as error:
        raise LookupError(secret) from error

def caught(write):
    try:
        fail()
    except LookupError:
        write()

log.info("it_happened", extra={{"port": 1, "texts": ["two\\nlines"]}})
replaying = restate_context_is_replaying.set(True)
log.info("it_happened_before")
restate_context_is_replaying.reset(replaying)
caught(lambda: log.error("it_failed", exc_info=True))

library.warning("what %s said", secret)
library.warning(f"what {{secret}} said")
library.warning("plain", extra={{"body": secret}})
caught(lambda: library.exception("a failure"))
warnings.warn(secret, RuntimeWarning)

async def forgotten():
    asyncio.get_running_loop().create_task(broken())
    await asyncio.sleep(0)

async def broken():
    raise RuntimeError(secret)

asyncio.run(forgotten())
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""


@pytest.fixture(scope="module")
def written() -> str:
    done = subprocess.run([sys.executable, "-c", WORDS], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    return done.stderr


@pytest.fixture(scope="module")
def lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def one(lines: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    (found,) = [line for line in lines if fields.items() <= line.items()]
    return found


def test_every_line_is_json_and_none_repeats_what_was_handled(written: str, lines: list[dict[str, Any]]) -> None:
    assert len(lines) == 10, written
    assert SECRET not in written


def test_a_line_says_when_how_bad_who_and_what(lines: list[dict[str, Any]]) -> None:
    line = lines[0]
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {
        "level": "INFO",
        "logger": "users.part",
        "event": "it_happened",
        "service": "users",
        "port": 1,
        "texts": ["two\nlines"],
    }


def test_a_replay_is_silent(lines: list[dict[str, Any]]) -> None:
    assert "it_happened_before" not in {line["event"] for line in lines}


def test_an_exception_is_told_by_its_classes_and_its_place(lines: list[dict[str, Any]]) -> None:
    line = one(lines, event="it_failed")
    assert line["exception"] == ["LookupError", "ValueError"]
    assert [frame.split()[1] for frame in line["stack"]] == ["caught", "fail"]
    assert "exc_info" not in line


def test_a_library_keeps_the_words_of_its_own_source_alone(lines: list[dict[str, Any]]) -> None:
    said = [line for line in lines if line["event"] == "library_line" and line["logger"] == "some.library"]
    assert [line.get("text") for line in said] == ["what %s said", None, "plain", "a failure"]
    assert "body" not in said[2]
    assert said[3]["exception"] == ["LookupError", "ValueError"]


def test_what_nobody_catches_is_a_line_too(lines: list[dict[str, Any]]) -> None:
    assert one(lines, event="python_warning")["category"] == "RuntimeWarning"
    assert one(lines, logger="asyncio")["exception"] == ["RuntimeError"]
    thread, process = [line for line in lines if line["event"] == "uncaught"]
    assert thread["stack"][-1].endswith(" fail")
    assert process["exception"] == ["LookupError", "ValueError"]


def test_a_place_is_named_as_its_package_names_it(lines: list[dict[str, Any]]) -> None:
    place = one(lines, logger="asyncio")["place"]
    assert re.fullmatch(r"[\w./-]+/base_events\.py:\d+ default_exception_handler", place)
    assert str(Path(sys.prefix)) not in place
