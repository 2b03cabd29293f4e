"""Containers as Kubernetes runs them: of the images that `make images` built last."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import pytest

IMAGES = Path(__file__).parents[2] / ".tools" / "images"
HARDENED = ("--read-only", "--user", "10001", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")

Run = Callable[..., "Container"]


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def image(room: str) -> str:
    """The full name of a room's image."""
    (name,) = [name for name in IMAGES.read_text().split() if name.startswith(f"switchboard/{room}:")]
    return name


@dataclass(frozen=True)
class Container:
    id: str

    @property
    def log(self) -> str:
        result = subprocess.run(["docker", "logs", self.id], check=True, capture_output=True, text=True)
        return result.stdout + result.stderr

    @property
    def running(self) -> bool:
        return bool(self._state["Running"])

    @property
    def exit_code(self) -> int:
        return int(self._state["ExitCode"])

    @property
    def _state(self) -> dict[str, bool | int]:
        return json.loads(docker("inspect", "--format", "{{json .State}}", self.id))

    def send(self, signal: str) -> None:
        docker("kill", "--signal", signal, self.id)

    def healthy(self, port: int) -> bool:
        """Whether it answers on its published port."""
        address = docker("port", self.id, str(port)).splitlines()[0]
        try:
            return urlopen(f"http://{address}/health", timeout=1).status == 200
        except OSError:
            return False

    def within(self, seconds: float, true: Callable[["Container"], bool]) -> float:
        """How long it took until `true`; fails with the log when it takes longer."""
        start = time.monotonic()
        while not true(self):
            assert time.monotonic() - start < seconds, f"not within {seconds} s:\n{self.log}"
            time.sleep(0.02)
        return time.monotonic() - start


@pytest.fixture
def run() -> Iterator[Run]:
    """Runs a room: `run("router", "--env", "HOST=0.0.0.0", command=["migrate"])`. It is removed at the end."""
    started: list[Container] = []

    def start(room: str, *options: str, command: tuple[str, ...] = ()) -> Container:
        container = Container(docker("run", "--detach", *HARDENED, "--tmpfs", "/tmp", *options, image(room), *command))
        started.append(container)
        return container

    yield start
    for container in started:
        docker("rm", "--force", "--volumes", container.id)
