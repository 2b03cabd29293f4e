"""Whoever registers says why the pods that it waits for are not ready."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from registry.commands import Failed, Patience
from registry.registration.held_up import Lookout
from registry.registration.one_url import NotRegistered
from registry.settings import RegisterSettings
from tests.parts.kubernetes import Kubernetes

NAME = "sw-users-1"
URL = f"http://{NAME}.agents:9082"
POD = f"{NAME}-7d-x"
NO_ROOM = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available: 1 Insufficient cpu."}
NOT_READY = {"type": "Ready", "status": "False"}
READY = {"type": "Ready", "status": "True"}


def waits(reason: str, message: str = "", name: str = "users") -> dict[str, Any]:
    return {"name": name, "ready": False, "state": {"waiting": {"reason": reason, "message": message}}}


def runs(name: str, *, ready: bool = False) -> dict[str, Any]:
    return {"name": name, "ready": ready, "state": {"running": {}}}


def ended(name: str) -> dict[str, Any]:
    return {"name": name, "ready": True, "state": {"terminated": {"exitCode": 0}}}


def pod(*conditions: dict[str, Any], init: tuple[Any, ...] = (), main: tuple[Any, ...] = (), name: str = POD) -> Any:
    status = {"conditions": conditions, "initContainerStatuses": init, "containerStatuses": main}
    return {"metadata": {"name": name}, "status": status}


CASES: dict[str, tuple[list[Any], str]] = {
    "no room": ([pod(NO_ROOM)], f"pod {POD} finds no node: 0/1 nodes are available: 1 Insufficient cpu."),
    "no image": (
        [pod(NOT_READY, main=(waits("ImagePullBackOff", "Back-off pulling image"),))],
        f"pod {POD}, container users: ImagePullBackOff: Back-off pulling image",
    ),
    "no image of an init container": (
        [pod(NOT_READY, init=(waits("ErrImagePull", name="migrate"),), main=(waits("PodInitializing"),))],
        f"pod {POD}, container migrate: ErrImagePull",
    ),
    "a database is waited for": (
        [pod(NOT_READY, init=(ended("provision"), runs("migrate")), main=(waits("PodInitializing"),))],
        f"pod {POD}, container migrate is not ready",
    ),
    "not healthy": ([pod(NOT_READY, main=(runs("users"),))], f"pod {POD}, container users is not ready"),
    "being made": ([pod(NOT_READY, main=(waits("ContainerCreating"),))], f"pod {POD} is not ready"),
    "one of two": ([pod(READY), pod(NO_ROOM)], f"pod {POD} finds no node: {NO_ROOM['message']}"),
    "ready": ([pod(READY)], ""),
    "somebody else's": ([pod(NO_ROOM, name="sw-users-2-x")], ""),
    "none yet": ([], ""),
}


@pytest.fixture
async def kubernetes(tmp_path: Path) -> Any:
    kubernetes = Kubernetes("agents", tmp_path)
    runner = await kubernetes.start()
    kubernetes.add(NAME)
    yield kubernetes
    await runner.cleanup()


def lookout(kubernetes: Kubernetes, namespace: str = "agents") -> Lookout:
    settings = RegisterSettings(
        deployments={"users": URL},
        namespace=namespace,
        kubernetes_url=kubernetes.url,
        service_account=kubernetes.folder,
        restate_admin_token=SecretStr(""),
    )
    return Lookout(settings)


@pytest.mark.parametrize(("pods", "why"), CASES.values(), ids=CASES)
async def test_it_says_what_holds_a_pod_up(kubernetes: Kubernetes, pods: list[Any], why: str) -> None:
    kubernetes.pods = pods
    assert await lookout(kubernetes).why(URL) == (f" ({why})" if why else "")


async def test_it_says_what_refuses_a_pod(kubernetes: Kubernetes) -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
    kubernetes.objects["deployments", NAME]["status"] = {"conditions": [refused]}
    assert await lookout(kubernetes).why(URL) == " (no pod: exceeded quota: small)"


async def test_what_cannot_be_seen_is_no_reason(kubernetes: Kubernetes, tmp_path: Path) -> None:
    kubernetes.pods = [pod(NO_ROOM)]
    assert await lookout(kubernetes, namespace="").why(URL) == ""
    assert await lookout(kubernetes).why("http://elsewhere.example.com") == ""
    (tmp_path / "token").unlink()
    assert await lookout(kubernetes).why(URL) == ""


async def test_the_last_line_says_it_too(kubernetes: Kubernetes) -> None:
    kubernetes.pods = [pod(NO_ROOM)]

    async def step() -> None:
        raise NotRegistered("nobody answers")

    async def why(what: str) -> str:
        return await lookout(kubernetes).why({"users": URL}[what])

    with pytest.raises(Failed, match=r"^users: not within 0 s: nobody answers \(pod .* finds no node: 0/1 nodes"):
        await Patience(0, why).until_done(step, "users")
