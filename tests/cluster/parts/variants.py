"""Images of routers with changed code, made from the one that is installed and loaded into the cluster."""

from pathlib import Path
from typing import Any

from tests.cluster.parts.command import run
from tests.cluster.parts.images import load
from tests.cluster.parts.product import Product

FOLDER = Path(__file__).parents[1] / "variants"
NEW_PROMPT = "Answer in one short paragraph,"


class Variants:
    def __init__(self, router: str) -> None:
        self._router = router

    @classmethod
    async def of(cls, product: Product) -> "Variants":
        pod, *_ = await product.serving("router")
        return cls(pod["spec"]["containers"][0]["image"])

    async def image(self, name: str) -> dict[str, Any]:
        """Builds and loads a variant; returns the values that install it. Its tag is its own image id."""
        arguments = ("--build-arg", f"ROUTER={self._router}", "--build-arg", f"VARIANT={name}")
        built = await run("docker", "build", "--quiet", *arguments, str(FOLDER), seconds=300)
        full = await load(built.strip(), self._router.rpartition(":")[0])
        return {"router": {"image": {"tag": full.rpartition(":")[2]}}}
