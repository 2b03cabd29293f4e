"""The README's own code and commands, run as they stand there."""

import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from standalone.ports import free_port
from standalone.process import Process, Program
from standalone.restate import answers
from tests.parts.board import Board, calls, text, until
from tests.parts.restate import request

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(heading: str, language: str) -> str:
    section = README.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


async def test_the_tool_of_the_readme_answers(board: Board, tmp_path: Path) -> None:
    (tmp_path / "parcels.py").write_text(block("Add a tool", "python"))
    port = free_port()
    command = [sys.executable, "-m", "hypercorn", "parcels:app", "--bind", f"127.0.0.1:{port}"]
    env = {"PYTHONPATH": str(tmp_path)}
    process = Process(
        Program(name="parcels", command=command, env=env, ready=ready(port)),
        tmp_path,
    )
    await process.start()
    await process.wait_ready()
    try:
        await board.restate.register(f"http://127.0.0.1:{port}")
        await until(lambda: offered(board, "track_parcel"))
        message = await board.script(calls(("track_parcel", {"number": "PX-4711"})), text("It arrives tomorrow."))
        await until(lambda: routed(board, message))
    finally:
        await process.stop()


def ready(port: int) -> Callable[[], Awaitable[bool]]:
    return lambda: answers(f"http://127.0.0.1:{port}/health")


async def offered(board: Board, name: str) -> bool:
    return name in (await request("GET", f"{board.registry.url}/tools")).text


async def routed(board: Board, message: str) -> bool:
    answer = await board.answer(message)
    return [(call["tool"], call["status"]) for call in answer["calls"]] == [("track_parcel", "ok")]
