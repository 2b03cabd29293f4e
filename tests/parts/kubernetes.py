"""The calls of the Kubernetes API that the registry and its commands make, over HTTP; the real API is for a cluster."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web

TOKEN = "the-pods-own-token"
CONFIGMAP = "board-versions"


@dataclass
class Kubernetes:
    """One namespace: Deployments and Services with their labels, and one ConfigMap."""

    namespace: str
    folder: Path
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    wanted: list[str] = field(default_factory=list)
    """What the ConfigMap says, one answer after the other; the last one stays. None at all: there is no ConfigMap."""
    configs: dict[str, dict[str, str]] = field(default_factory=dict)
    """Other ConfigMaps, by their names."""
    versions: dict[str, int] = field(default_factory=dict)
    """How often each of them was changed."""
    pods: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    before_delete: Callable[[], None] | None = None
    _revisions: Any = field(default_factory=lambda: itertools.count(1))

    async def start(self) -> web.AppRunner:
        (self.folder / "token").write_text(TOKEN)
        app = web.Application()
        for kind, group in {"deployments": "apis/apps/v1", "services": "api/v1"}.items():
            path = f"/{group}/namespaces/{{namespace}}/{{kind:{kind}}}"
            app.router.add_get(path, self._list)
            app.router.add_delete(path + "/{name}", self._delete)
        app.router.add_get("/apis/apps/v1/namespaces/{namespace}/deployments/{name}", self._deployment)
        app.router.add_get("/api/v1/namespaces/{namespace}/pods", self._pods)
        config = "/api/v1/namespaces/{namespace}/configmaps/{name}"
        app.router.add_get(config, self._config)
        app.router.add_patch(config, self._set_config)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def add(self, name: str, release: str = "board", version: str = "1", created_at: datetime | None = None) -> None:
        """A Deployment and a Service of this name; without a version Helm alone takes care of them."""
        labels = {"app.kubernetes.io/instance": release} | ({"switchboard/version": version} if version else {})
        created = (created_at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for kind in ("deployments", "services"):
            metadata = {"name": name, "uid": f"{kind}-{next(self._revisions)}", "creationTimestamp": created}
            self.objects[kind, name] = {"metadata": metadata | {"labels": labels}}
            self.touch(kind, name)

    def touch(self, kind: str, name: str) -> None:
        """What anybody's change does to an object."""
        self.objects[kind, name]["metadata"]["resourceVersion"] = str(next(self._revisions))

    def names(self) -> set[str]:
        return {f"{kind}/{name}" for kind, name in self.objects}

    async def _list(self, request: web.Request) -> web.Response:
        self._check(request)
        terms = [term.partition("=") for term in request.query["labelSelector"].split(",")]
        found = [
            item
            for (kind, _), item in self.objects.items()
            if kind == request.match_info["kind"] and all(_matches(item["metadata"]["labels"], *term) for term in terms)
        ]
        return web.json_response({"items": found})

    async def _deployment(self, request: web.Request) -> web.Response:
        self._check(request)
        found = self.objects.get(("deployments", request.match_info["name"]))
        return web.json_response(found) if found else _refusal(404, "deployments not found")

    async def _pods(self, request: web.Request) -> web.Response:
        self._check(request)
        return web.json_response({"items": self.pods})

    async def _delete(self, request: web.Request) -> web.Response:
        self._check(request)
        if self.before_delete:
            self.before_delete()
        key = request.match_info["kind"], request.match_info["name"]
        if key not in self.objects:
            return _refusal(404, f"{key} not found")
        asked: dict[str, str] = (await request.json())["preconditions"]
        metadata = self.objects[key]["metadata"]
        if any(metadata[name] != value for name, value in asked.items()):
            return _refusal(409, "Precondition failed")
        del self.objects[key]
        return web.json_response({"kind": "Status", "status": "Success"})

    async def _config(self, request: web.Request) -> web.Response:
        self._check(request)
        name = request.match_info["name"]
        if (data := self.configs.get(name)) is not None:
            metadata = {"resourceVersion": str(self.versions.get(name, 1))}
            return web.json_response({"metadata": metadata} | ({"data": data} if data else {}))
        if not self.wanted or request.match_info["name"] != CONFIGMAP:
            return _refusal(404, "configmaps not found")
        text = self.wanted.pop(0) if len(self.wanted) > 1 else self.wanted[0]
        return web.json_response({"data": {"deployments": text}})

    async def _set_config(self, request: web.Request) -> web.Response:
        self._check(request)
        assert request.content_type == "application/merge-patch+json"
        name, wanted = request.match_info["name"], await request.json()
        if name not in self.configs:
            return _refusal(404, "configmaps not found")
        version = self.versions.get(name, 1)
        if wanted.get("metadata", {}).get("resourceVersion", str(version)) != str(version):
            return _refusal(409, "the object has been modified")
        data = self.configs[name] | wanted["data"]
        self.configs[name] = {key: text for key, text in data.items() if text is not None}
        self.versions[name] = version + 1
        return web.json_response({})

    def _check(self, request: web.Request) -> None:
        assert request.headers["Authorization"] == f"Bearer {TOKEN}"
        assert request.match_info["namespace"] == self.namespace


def _matches(labels: dict[str, str], name: str, equals: str, value: str) -> bool:
    return labels.get(name) == value if equals else name in labels


def _refusal(status: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "message": message}, status=status)
