"""Prometheus, if it is installed: it scrapes what runs here and evaluates the alerts, on loopback alone."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from standalone.process import Process, Program, StartError
from standalone.restate import answers

RETENTION = "7d"


class Prometheus:
    """One server: its configuration and its data in a folder of its own. `jobs` are the ports to scrape, by job."""

    def __init__(
        self, data_dir: Path, port: int, jobs: Mapping[str, int], rules: Sequence[Path] = (), *, interval: str = "5s"
    ) -> None:
        self.folder = (data_dir / "prometheus").resolve()
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.configuration = configuration(jobs, rules, interval)
        self.process = Process(self._program(), data_dir)

    async def start(self) -> None:
        await self.prepare()
        await self.process.start()
        await self.process.wait_ready()

    async def stop(self) -> None:
        await self.process.stop()

    async def kill(self) -> None:
        await self.process.kill()

    async def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self.configuration, indent=2) + "\n")  # JSON is YAML, too

    @property
    def _file(self) -> Path:
        return self.folder / "prometheus.yaml"

    def _program(self) -> Program:
        return Program(
            name="prometheus",
            command=[
                binary(),
                f"--config.file={self._file}",
                f"--storage.tsdb.path={self.folder / 'data'}",
                f"--storage.tsdb.retention.time={RETENTION}",
                f"--web.listen-address=127.0.0.1:{self.port}",
                "--enable-feature=exemplar-storage",
            ],
            env={},
            ready=self._answers,
        )

    async def _answers(self) -> bool:
        return await answers(f"{self.url}/-/ready")


def is_installed() -> bool:
    return shutil.which("prometheus") is not None


def binary() -> str:
    found = shutil.which("prometheus")
    if found is None:
        raise StartError("Prometheus is not installed: install your system's package `prometheus`")
    return found


def configuration(jobs: Mapping[str, int], rules: Sequence[Path], interval: str) -> dict[str, Any]:
    """Prometheus's own configuration; the alerts are evaluated as often as all is scraped."""
    return {
        "global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
        "rule_files": [str(path.resolve()) for path in rules],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]} for job, port in jobs.items()
        ],
    }
