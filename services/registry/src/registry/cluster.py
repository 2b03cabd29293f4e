"""The Kubernetes API: the part of it that the registry and its commands need, typed.

The pruner lists, gets and deletes, the registry reads and writes one ConfigMap, whoever registers looks at pods: their
Roles allow no more. Its own few lines of HTTP, because the well-kept clients for Python's asyncio cannot delete on
condition.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

CALL_SECONDS = 10

Kind = Literal["Deployment", "Service"]

_COLLECTIONS: dict[Kind, str] = {"Deployment": "apis/apps/v1", "Service": "api/v1"}
"""In the order in which they are deleted: Helm touches a Deployment last, so that one shows first that it is wanted."""


class ClusterError(Exception):
    """The Kubernetes API cannot be reached (`status` None), or it refused; the message is its own reason."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Metadata(BaseModel):
    name: str
    uid: str
    resource_version: str = Field(alias="resourceVersion")
    created_at: AwareDatetime = Field(alias="creationTimestamp")


class KubeObject(BaseModel):
    kind: Kind
    metadata: Metadata

    @property
    def name(self) -> str:
        return self.metadata.name


class Cluster:
    """A client of one namespace, as the service account of this pod; use it as an async context manager."""

    def __init__(self, url: str, namespace: str, service_account: Path) -> None:
        self._url = url.rstrip("/")
        self._namespace = namespace
        try:
            self._token = (service_account / "token").read_text().strip()
            secure = url.startswith("https:")
            self._tls = ssl.create_default_context(cafile=service_account / "ca.crt") if secure else True
        except OSError as error:
            raise ClusterError(f"cannot act as a service account: {service_account}: {error.strerror}", 401) from error

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=CALL_SECONDS), headers={"Authorization": f"Bearer {self._token}"}
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def versions(self, release: str) -> list[KubeObject]:
        """The Deployments and Services of a release's versions, whatever Helm thinks of them."""
        selector = f"app.kubernetes.io/instance={release},switchboard/version"
        found: list[KubeObject] = []
        for kind in _COLLECTIONS:
            listed = await self._call("GET", self._path(kind), params={"labelSelector": selector})
            found.extend(_parsed(kind, item) for item in listed["items"])
        return found

    async def deployment(self, name: str) -> dict[str, Any]:
        return await self._call("GET", f"{self._path('Deployment')}/{name}")

    async def pods(self, selector: str) -> list[dict[str, Any]]:
        """All of its pods that have these labels."""
        path = f"api/v1/namespaces/{self._namespace}/pods"
        listed = await self._call("GET", path, params={"labelSelector": selector})
        return listed["items"]

    async def config(self, name: str) -> tuple[dict[str, str], str]:
        """The data of a ConfigMap, and its version."""
        found = await self._call("GET", self._config(name))
        data: dict[str, str] = found.get("data") or {}
        metadata: dict[str, str] = found.get("metadata") or {}
        return data, metadata.get("resourceVersion", "")

    async def set_config(self, name: str, data: Mapping[str, str | None], version: str = "") -> None:
        """Set these entries of a ConfigMap, or remove them, and leave the others. 409 if it has another version."""
        wanted = {"data": data} | ({"metadata": {"resourceVersion": version}} if version else {})
        await self._call("PATCH", self._config(name), json=wanted, kind="application/merge-patch+json")

    async def delete(self, found: KubeObject) -> bool:
        """Delete it, unless somebody has touched it since it was listed. Returns whether it is gone."""
        about = found.metadata
        options = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": "Background",
            "preconditions": {"uid": about.uid, "resourceVersion": about.resource_version},
        }
        try:
            await self._call("DELETE", f"{self._path(found.kind)}/{about.name}", json=options)
        except ClusterError as error:
            if error.status not in (404, 409):
                raise
            return error.status == 404
        return True

    def _config(self, name: str) -> str:
        return f"api/v1/namespaces/{self._namespace}/configmaps/{name}"

    def _path(self, kind: Kind) -> str:
        return f"{_COLLECTIONS[kind]}/namespaces/{self._namespace}/{kind.lower()}s"

    async def _call(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        json: object = None,
        kind: str | None = None,
    ) -> dict[str, Any]:
        headers = {"Content-Type": kind} if kind else {}
        try:
            async with self._http.request(
                method, f"{self._url}/{path}", params=params, json=json, ssl=self._tls, headers=headers
            ) as reply:
                answer: dict[str, Any] = await reply.json()
        except TimeoutError as error:
            raise ClusterError(f"the Kubernetes API gave no answer within {CALL_SECONDS} s") from error
        except (aiohttp.ClientError, ValueError) as error:
            why = error.strerror if isinstance(error, aiohttp.ClientConnectorError) else error
            raise ClusterError(f"the Kubernetes API cannot be reached at {self._url}: {why}") from error
        if reply.status >= 400:
            raise ClusterError(f"the Kubernetes API refuses: {answer.get('message', reply.reason)}", reply.status)
        return answer


def _parsed(kind: Kind, item: dict[str, Any]) -> KubeObject:
    """Items of a list do not say what they are."""
    try:
        return KubeObject.model_validate({**item, "kind": kind})
    except ValidationError as error:
        raise ClusterError(f"the Kubernetes API lists a {kind} of an unknown shape: {error}", 400) from error
