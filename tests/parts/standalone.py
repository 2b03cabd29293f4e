"""`make run` as a process of its own: its terminal, its children, its ports."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from standalone.ports import free_port
from standalone.process import MARK
from standalone.settings import StandaloneSettings
from tests.parts.restate import TOOLS_DIR, HttpReply, request

READY = "Where to go on"
PROGRAMS = {"restate-server": "restate", "prometheus": "prometheus"}


class Standalone:
    """Starts on free ports, in a data folder of its own; `start` again finds both as they were."""

    def __init__(self, data_dir: Path, **env: str) -> None:
        self.data_dir = data_dir
        names = [name.upper() for name in StandaloneSettings.model_fields if name.endswith("_port")]
        self.ports = dict(zip(names, _free_ports(len(names)), strict=True))
        ports = {name: str(port) for name, port in self.ports.items()}
        self._env = {"DATA_DIR": str(data_dir), "TOOLS_DIR": str(TOOLS_DIR), **ports, **env}
        self._screen = data_dir.with_suffix(".screen")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def screen(self) -> str:
        """What the latest start has printed."""
        return self._screen.read_text()

    async def start(self, until: str = READY, seconds: float = 120) -> None:
        with self._screen.open("wb") as screen:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "standalone", "run"],
                env={**os.environ, **self._env},
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=screen,
                start_new_session=True,
            )
        await self.shows(until, seconds)

    async def shows(self, text: str, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.screen:
            assert self._supervisor.poll() is None, self.screen
            assert time.monotonic() < deadline, self.screen
            await asyncio.sleep(0.05)

    async def has(self, parts: set[str], seconds: float = 60) -> None:
        """Waits until exactly these parts run."""
        deadline = time.monotonic() + seconds
        while (found := self.children().keys()) != parts:
            assert time.monotonic() < deadline, found
            await asyncio.sleep(0.1)

    async def interrupt(self) -> tuple[int, float]:
        """Ctrl-C: the exit code, and how long the end took."""
        return await self._end(signal.SIGINT)

    async def kill(self) -> None:
        """SIGKILL of the supervisor alone; its children stay behind."""
        await self._end(signal.SIGKILL)

    async def exit(self) -> int:
        """Waits for an end of its own accord."""
        return await asyncio.to_thread(self._supervisor.wait, 60)

    async def _end(self, sig: signal.Signals) -> tuple[int, float]:
        began = time.monotonic()
        self._supervisor.send_signal(sig)
        code = await asyncio.to_thread(self._supervisor.wait, 60)
        return code, time.monotonic() - began

    @property
    def _supervisor(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    def children(self) -> dict[str, psutil.Process]:
        """What runs in its name, by the name of the part."""
        found: dict[str, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                command, work_dir = process.cmdline(), process.cwd()
                marked = process.environ().get(MARK) == str(self.data_dir)
            except psutil.Error:
                continue
            if marked and "-m" in command:
                found[command[-1]] = process
            elif marked and (name := Path(command[0]).name) in PROGRAMS:
                found[PROGRAMS[name]] = process
            elif work_dir == str(self.data_dir / "postgres") and process.ppid() in (1, self._supervisor.pid):
                found["postgres"] = process
        return found

    def run_command(self, *arguments: str, typed: str = "", seconds: float = 60) -> "subprocess.CompletedProcess[str]":
        """`make ask`, `make tickets` and the like; `typed` is what a person would type into them."""
        return subprocess.run(
            [sys.executable, "-m", "standalone", *arguments],
            input=typed,
            env={**os.environ, **self._env},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    async def begin_command(self, *arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "standalone", *arguments),
            env={**os.environ, **self._env},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

    async def ingress(self, path: str, body: object, **headers: str) -> HttpReply:
        return await request("POST", f"http://127.0.0.1:{self.ports['RESTATE_INGRESS_PORT']}{path}", body, headers)

    async def gateway(self, method: str, path: str, body: object = None, **headers: str) -> HttpReply:
        """What the gateway answers to a demo customer."""
        told = {"Authorization": "Bearer demo-user_12345", **headers}
        return await request(method, f"http://127.0.0.1:{self.ports['GATEWAY_PORT']}{path}", body, told)

    async def attach(self, invocation: str) -> HttpReply:
        """Waits for the end of a run and returns its answer."""
        return await request(
            "GET", f"http://127.0.0.1:{self.ports['RESTATE_INGRESS_PORT']}/restate/attach/{invocation}"
        )

    async def clean_up(self) -> None:
        """Nothing of it outlives its test."""
        if self._process and self._process.poll() is None:
            await self.kill()
        for child in self.children().values():
            child.kill()


def _free_ports(count: int) -> set[int]:
    ports: set[int] = set()
    while len(ports) < count:
        ports.add(free_port())
    return ports
