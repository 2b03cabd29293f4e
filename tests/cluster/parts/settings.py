"""What the cluster tests read from the environment: once, before a fixture cleans it for the tests."""

import os
from pathlib import Path

from pydantic import Field

from runtime.settings import Settings

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "switchboard"


class ClusterSettings(Settings):
    namespace_prefix: str = Field(
        default="switchboard-e2e", pattern=r"^[a-z]([a-z0-9-]{0,40}[a-z0-9])?$", description="Of the namespaces"
    )
    images_file: Path = Field(default=Path(".tools/images.yaml"), description="Values file that `make images` wrote")
    load: str = Field(default="", description="Command that takes image names and loads them into the cluster")
    dump_dir: Path = Field(default=Path(".tools/e2e"), description="Where failures, screenshots and timings are put")
    docs_image: Path | None = Field(default=None, description="Where the picture of a run is put, for the docs")
    keep: bool = Field(default=False, description="Leave the namespaces behind, to look at them")


SETTINGS = ClusterSettings.read()
TOOL_ENVIRONMENT = dict(os.environ)
"""For kubectl, helm, docker and chromium: they may need KUBECONFIG, DOCKER_HOST or a proxy."""
