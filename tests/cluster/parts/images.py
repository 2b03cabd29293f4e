"""Images that tests make themselves."""

import shlex

from tests.cluster.parts.command import run
from tests.cluster.parts.settings import SETTINGS


async def load(built: str, repository: str) -> str:
    """Names an image after its own id, gives it to the cluster, and returns the name. `built` is its id."""
    name = f"{repository}:{built.removeprefix('sha256:')[:12]}"
    await run("docker", "tag", built, name)
    if SETTINGS.load:
        await run(*shlex.split(SETTINGS.load), name, seconds=300)
    return name
