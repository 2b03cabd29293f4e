"""Images that tests make themselves, and those that every cluster under test has."""

import shlex

import yaml

from tests.cluster.parts.command import run
from tests.cluster.parts.settings import SETTINGS


async def load(built: str, repository: str) -> str:
    """Names an image after its own id, gives it to the cluster, and returns the name. `built` is its id."""
    name = f"{repository}:{built.removeprefix('sha256:')[:12]}"
    await run("docker", "tag", built, name)
    if SETTINGS.load:
        await run(*shlex.split(SETTINGS.load), name, seconds=300)
    return name


def image_of(room: str) -> str:
    """The image of a room, as `make images` named it."""
    values = yaml.safe_load(SETTINGS.images_file.read_text())
    return f"switchboard/{room}:{values[room]['image']['tag']}"
