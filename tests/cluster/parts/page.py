"""The commands of docs/kubernetes.md, run as they stand there."""

import re
from pathlib import Path

from tests.cluster.parts.command import run
from tests.cluster.parts.namespace import Namespace
from tests.cluster.parts.settings import CHART, ROOT

PAGE = ROOT / "docs" / "kubernetes.md"


def blocks(heading: str) -> list[str]:
    """What is to be typed under a heading such as `### Secrets`, block by block."""
    section = PAGE.read_text().split(f"\n{heading}\n", 1)[1]
    return re.findall(
        r"^```bash\n(.*?)^```", re.split(r"^##+ ", section, flags=re.MULTILINE)[0], re.DOTALL | re.MULTILINE
    )


class Terminal:
    """An operator's: the namespace is the current one, `charts` lies in the folder, and so does what commands write."""

    def __init__(self, namespace: Namespace, folder: Path) -> None:
        self._namespace, self._folder = namespace, folder

    async def open(self) -> None:
        (self._folder / "charts").symlink_to(CHART.parent)
        self._kubeconfig.touch(mode=0o600)
        self._kubeconfig.write_text(await run("kubectl", "config", "view", "--raw", "--minify", "--flatten"))
        await self.type(f"kubectl config set-context --current --namespace {self._namespace.name}")

    async def type(self, commands: str, seconds: float = 420) -> str:
        """What they print. Raises: CommandFailed by the first that fails."""
        there = f"cd {self._folder} && export KUBECONFIG={self._kubeconfig}\n"
        return await run("bash", "-euo", "pipefail", "-c", there + commands, seconds=seconds)

    @property
    def _kubeconfig(self) -> Path:
        return self._folder / "kubeconfig"
