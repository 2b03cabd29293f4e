"""A site of somebody else that shows the chat, by the lines and under the policy that the docs give."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from standalone.ports import free_port

DOCS = Path(__file__).parents[2] / "docs" / "embed.md"
OWN_SCRIPT = """
const chat = document.querySelector("switchboard-chat");
chat.token = async () => "demo-user_12345";
chat.style.setProperty("--switchboard-accent", "rgb(1, 2, 3)");
"""
"""It runs before the element is known."""


def policy_of_the_docs(gateway: str) -> str:
    found = re.search(r"```\n(default-src.*?)\n```", DOCS.read_text(), re.DOTALL)
    assert found is not None
    return found[1].replace("<gateway>", gateway).replace("script-src", "script-src 'self'")


@asynccontextmanager
async def embedding(snippet: str, policy: str, port: int = 0) -> AsyncGenerator[str]:
    """The address of a page with the first lines of the snippet; its own script stands in for the last ones."""
    shown = re.search(r"<script.*?</script>\n\n<switchboard-chat.*?</switchboard-chat>", snippet, re.DOTALL)
    assert shown is not None, snippet

    async def page(_: web.Request) -> web.Response:
        body = f'<!doctype html><script src="/site.js" defer></script><body>{shown[0]}</body>'
        return web.Response(text=body, content_type="text/html", headers={"Content-Security-Policy": policy})

    async def script(_: web.Request) -> web.Response:
        return web.Response(text=OWN_SCRIPT, content_type="text/javascript")

    app, port = web.Application(), port or free_port()
    app.add_routes([web.get("/", page), web.get("/site.js", script)])
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        await runner.cleanup()
