"""Where the registry keeps what must outlive it: a folder on one machine, a ConfigMap on Kubernetes."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from registry.cluster import Cluster, ClusterError
from registry.settings import AcceptedSettings


class NotKept(Exception):
    """What was kept cannot be read or written; the message says where and why."""


class Raced(NotKept):
    """Somebody else has written since it was read: read again."""


class Entries(NamedTuple):
    """All that is kept, and which version of it this is; the version is empty where one process alone writes."""

    texts: Mapping[str, str]
    version: str = ""


class Store(Protocol):
    """A place that outlives this process. Both raise `NotKept`."""

    async def read(self) -> Entries: ...

    async def write(self, texts: Mapping[str, str | None], version: str = "") -> None:
        """Set these entries, and remove those without a text. Raises `Raced` unless this version is the latest."""
        ...


class Folder:
    """One file for each entry."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> Entries:
        try:
            return Entries({file.stem: file.read_text() for file in self._path.glob("*.json")})
        except (OSError, UnicodeDecodeError) as error:
            raise NotKept(f"{self._path} cannot be read: {error}") from error

    async def write(self, texts: Mapping[str, str | None], version: str = "") -> None:
        for name, text in texts.items():
            self._write(self._path / f"{name}.json", text)

    def _write(self, file: Path, text: str | None) -> None:
        """Complete or not at all."""
        unfinished = file.with_suffix(f".{os.getpid()}")
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if text is None:
                file.unlink(missing_ok=True)
            else:
                unfinished.write_text(text)
                unfinished.replace(file)
        except OSError as error:
            raise NotKept(f"{file} cannot be written: {error.strerror}") from error


class ConfigMap:
    """One entry for each name, so that two who write change nothing of each other's."""

    def __init__(self, cluster: Callable[[], Cluster], name: str) -> None:
        self._cluster = cluster
        self._name = name

    async def read(self) -> Entries:
        try:
            async with self._cluster() as cluster:
                return Entries(*await cluster.config(self._name))
        except ClusterError as error:
            raise self._not_kept(error) from error

    async def write(self, texts: Mapping[str, str | None], version: str = "") -> None:
        try:
            async with self._cluster() as cluster:
                await cluster.set_config(self._name, texts, version)
        except ClusterError as error:
            raise self._not_kept(error) from error

    def _not_kept(self, error: ClusterError) -> NotKept:
        kind = Raced if error.status == 409 else NotKept
        return kind(f"ConfigMap {self._name}: {error}")


def store_at(settings: AcceptedSettings, configmap: str, folder: Path | None) -> Store | None:
    """This ConfigMap, or this folder, or nowhere."""
    if configmap:
        cluster = partial(Cluster, settings.kubernetes_url, settings.namespace, settings.service_account)
        return ConfigMap(cluster, configmap)
    return Folder(folder) if folder else None
