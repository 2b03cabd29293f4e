"""What operators of other clusters set: it reaches every pod, every container and every object of both charts."""

from pathlib import Path
from typing import Any

import pytest

from tests.charts.charts import (
    IDENTITY,
    SWITCHBOARD,
    Object,
    Pod,
    Values,
    attempt,
    ci_files,
    name_of,
    of_kind,
    pods,
    read,
    render,
)
from tests.parts.values import merge

SOME = ("default", "external-postgres", "hardened", "replicated-restate")
"""Values files that together make every kind of pod."""

FILES = pytest.mark.parametrize(
    "file", [file for file in ci_files(SWITCHBOARD) if file.name.removesuffix("-values.yaml") in SOME], ids=name_of
)
BOUND = {"requests": {"cpu": "1m", "memory": "1Mi"}, "limits": {"cpu": "1", "memory": "1Mi"}}
"""What a namespace with a quota on limits wants of every container."""

HELD_BY_PODS: Values = {
    "priorityClassName": "high",
    "nodeSelector": {"pool": "agents"},
    "tolerations": [{"operator": "Exists"}],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["model"]}],
}


def with_values(file: Path, values: Values) -> list[Object]:
    """What the chart makes of a values file of its own, and of these."""
    return render(SWITCHBOARD, file, values=values)


@FILES
def test_one_registry_serves_all_images(file: Path) -> None:
    for pod in pods(with_values(file, {"global": {"imageRegistry": "mirror.example.com/hub"}})):
        for container in pod.containers:
            assert container["image"].startswith("mirror.example.com/hub/"), (pod.owner, container["image"])
            assert "docker.restate.dev" not in container["image"]


@FILES
def test_all_pods_pull_with_the_secrets_of_the_release(file: Path) -> None:
    values = {"global": {"imagePullSecrets": ["one", {"name": "two"}]}}
    for pod in pods(with_values(file, values)):
        names = [each["name"] for each in pod.spec["imagePullSecrets"]]
        assert names[:2] == ["one", "two"], pod.owner
        assert len(names) == len(set(names)), pod.owner


@FILES
def test_every_container_has_the_limits_that_a_quota_wants(file: Path) -> None:
    rooms = ("router", "users", "tickets", "conversations", "gateway", "console", "registry", "demoModel", "jobs")
    values: Values = {room: {"resources": BOUND} for room in rooms}
    values["postgres"] = {"bundled": {"resources": BOUND}}
    values["restate"] = {"resources": BOUND, "metrics": {"resources": BOUND}, "provision": {"resources": BOUND}}
    for pod in pods(with_values(file, values)):
        for container in pod.containers:
            assert container["resources"] == BOUND, (pod.owner, container["name"])


@FILES
def test_what_is_said_of_all_pods_holds_for_all(file: Path) -> None:
    nothing = {"nodeSelector": None, "tolerations": []}
    rooms = dict.fromkeys(("router", "users", "tickets", "conversations", "gateway", "console", "registry"), nothing)
    values = {"pods": HELD_BY_PODS, "restate": HELD_BY_PODS, **rooms}
    for pod in pods(with_values(file, values)):
        for name, value in HELD_BY_PODS.items():
            held: Any = pod.spec.get(name)
            assert held == value or (isinstance(value, list) and held[-1:] == value), (pod.owner, name)


@FILES
def test_all_objects_and_pods_carry_the_common_labels_and_annotations(file: Path) -> None:
    common: Values = {"commonLabels": {"team": "support"}, "commonAnnotations": {"owner": "support"}}
    objects = with_values(file, merge(common, {"restate": common}))
    for each in objects:
        if each["metadata"]["name"] != "sw-owners":
            assert each["metadata"]["labels"].get("team") == "support", each["metadata"]["name"]
            assert each["metadata"]["annotations"].get("owner") == "support", each["metadata"]["name"]
    assert all(pod.labels.get("team") == "support" for pod in pods(objects))


def ends(pod: Pod) -> bool:
    return pod.spec.get("restartPolicy") in ("Never", "OnFailure")


@FILES
def test_what_ends_can_be_kept_out_of_a_mesh(file: Path) -> None:
    without: Values = {"labels": {"sidecar.istio.io/inject": "false"}, "annotations": {"linkerd.io/inject": "disabled"}}
    objects = with_values(file, {"jobs": without, "restate": {"provision": without}})
    for pod in pods(objects):
        assert ("sidecar.istio.io/inject" in pod.labels) == ends(pod), pod.owner
    assert str(objects).count("linkerd.io/inject") == sum(ends(pod) for pod in pods(objects))


@FILES
@pytest.mark.parametrize(("adapts", "has_users"), [("force", False), ("disabled", True), ("auto", True)])
def test_users_are_left_to_a_cluster_that_gives_them(file: Path, adapts: str, has_users: bool) -> None:
    values = {"global": {"compatibility": {"openshift": {"adaptSecurityContext": adapts}}}}
    for pod in pods(with_values(file, values)):
        held: dict[str, Any] = pod.spec["securityContext"]
        assert held["runAsNonRoot"] is True
        assert (held.keys() >= {"runAsUser", "runAsGroup", "fsGroup"}) == has_users, pod.owner
        assert bool(held.keys() & {"runAsUser", "runAsGroup", "fsGroup"}) == has_users, pod.owner


@FILES
def test_pods_without_rights_of_their_own_take_the_account_that_is_named(file: Path) -> None:
    made = {"serviceAccount": {"create": True, "annotations": {"role": "cloud"}}}
    objects = with_values(file, made)
    (account,) = [each for each in of_kind(objects, "ServiceAccount") if each["metadata"]["name"] == "sw"]
    assert account["metadata"]["annotations"]["role"] == "cloud"
    assert account["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    own = {"sw-versions", "sw-register", "sw-registry", "sw-restate"}
    assert {pod.spec["serviceAccountName"] for pod in pods(objects)} - own == {"sw"}
    named = with_values(file, {"serviceAccount": {"name": "theirs"}})
    assert {pod.spec["serviceAccountName"] for pod in pods(named)} - own == {"theirs"}


def test_the_charts_refuse_clusters_older_than_the_oldest_they_ran_on() -> None:
    node = (SWITCHBOARD.parents[1] / "k8s/kind/cluster.yaml").read_text()
    for chart in (SWITCHBOARD, SWITCHBOARD / "charts/restate"):
        floor = read(chart / "Chart.yaml")["kubeVersion"]
        assert f"kindest/node:v{floor.removeprefix('>=').rpartition('.')[0]}." in node


@pytest.mark.parametrize(
    ("host", "address"),
    [("fd00::1", "[fd00::1]:6432"), ("[fd00::1]", "[fd00::1]:6432"), ("db.example.com", "db.example.com:6432")],
)
def test_a_postgres_at_any_address_is_reached_as_the_role_of_this_installation(host: str, address: str) -> None:
    file = SWITCHBOARD / "ci/external-postgres-values.yaml"
    objects = with_values(file, {"postgres": {"external": {"host": host}, "rolePrefix": "staging_"}})
    env = [each for pod in pods(objects) for container in pod.containers for each in container.get("env", [])]
    urls = {each["value"] for each in env if each["name"] in ("DATABASE_URL", "MIGRATION_DATABASE_URL")}
    assert urls
    assert all(f"@{address}/" in url and "//staging_" in url for url in urls)
    assert {each["value"] for each in env if each["name"] == "DATABASE_ROLE_PREFIX"} == {"staging_"}


@pytest.mark.parametrize(
    ("url", "is_private"),
    [
        ("http://10.1.2.3:8000/v1", True),
        ("http://172.20.0.1/v1", True),
        ("http://[fd00::1]:8000/v1", True),
        ("http://vllm:8000/v1", True),
        ("http://models.ai.svc.cluster.local:8000/v1", True),
        ("https://172.40.0.1/v1", False),
        ("https://api.example.com/v1", False),
        ("", False),
    ],
)
def test_a_model_that_the_policy_would_not_let_through_is_said_at_render(url: str, is_private: bool) -> None:
    model = {"model": {"name": "m", "baseUrl": url}}
    refused = attempt(SWITCHBOARD, values=model).stderr
    assert ("set networkPolicy.egress.model.cidrs" in refused) == is_private
    named = {"networkPolicy": {"egress": {"model": {"pods": [{"podSelector": {}}]}}}}
    assert attempt(SWITCHBOARD, values=merge(model, named)).returncode == 0


DESK: Values = {
    "console": {"baseUrl": "https://desk.example.com", "oidc": {"issuer": "https://id.example.com", "clientId": "desk"}}
}
PROXY: Values = {"proxy": {"url": "http://proxy.corp:3128", "except": ["intern.example.com"]}}


def test_what_goes_out_goes_by_the_proxy_and_the_policies_follow() -> None:
    issuer = {"issuer": "https://id.example.com/", "audience": "switchboard"}
    outside: Values = {
        "model": {"name": "m"},
        "gateway": {"issuers": [issuer]},
        **DESK,
        "tickets": {"webhook": {"url": "https://hooks.example.com"}},
    }
    objects = render(SWITCHBOARD, values=merge(PROXY, outside))
    for pod in pods(objects):
        env = {each["name"]: each.get("value", "") for each in pod.containers[0].get("env", [])}
        goes_out = pod.component in ("router", "tickets", "gateway", "console") and "switchboard/serves" in pod.labels
        assert (env.get("HTTPS_PROXY") == env.get("HTTP_PROXY") == "http://proxy.corp:3128") == goes_out, pod.owner
        if goes_out:
            assert {".svc", "sw-registry", "intern.example.com"} <= set(env["NO_PROXY"].split(","))
    for room in ("router", "tickets", "gateway", "console"):
        (policy,) = [each for each in of_kind(objects, "NetworkPolicy") if each["metadata"]["name"] == f"sw-{room}"]
        ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
        assert 3128 in ports
        assert 443 not in ports, "past the proxy"


TOOLS: Values = {
    "tools": [
        {"name": "parcels", "url": "http://parcels.shop:9080"},
        {"name": "far", "url": "http://tools.example.com:7000", "peers": [{"ipBlock": {"cidr": "203.0.113.7/32"}}]},
    ]
}


def test_tools_of_ones_own_are_registered_and_reached_by_restate_and_the_registry_alone() -> None:
    objects = render(SWITCHBOARD, values=TOOLS)
    (registry,) = [pod for pod in pods(objects) if pod.owner == "Deployment sw-registry"]
    env = {each["name"]: each.get("value") for each in registry.containers[0]["env"]}
    assert env["DEPLOYMENTS"] == "parcels=http://parcels.shop:9080,far=http://tools.example.com:7000"
    shop = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}
    reach = {
        policy["metadata"]["name"]
        for policy in of_kind(objects, "NetworkPolicy")
        for rule in policy["spec"]["egress"]
        if shop in rule["to"] and {"port": 9080, "protocol": "TCP"} in rule["ports"]
    }
    assert reach == {"sw-restate", "sw-registry"}
    lost = attempt(SWITCHBOARD, values={"tools": [{"name": "far", "url": "http://tools.example.com:7000"}]})
    assert "tools: far is at tools.example.com" in lost.stderr
    assert "set its peers" in lost.stderr


def test_services_listen_at_the_addresses_that_a_cluster_has() -> None:
    objects = render(SWITCHBOARD, values={"listen": "::", "service": {"ipFamilyPolicy": "PreferDualStack"}})
    hosts = [
        each["value"]
        for pod in pods(objects)
        for container in pod.containers
        for each in container.get("env", [])
        if each["name"] == "HOST"
    ]
    assert set(hosts) == {"::"}
    restate = {"sw-restate", "sw-restate-nodes"}
    ours = [each for each in of_kind(objects, "Service") if each["metadata"]["name"] not in restate]
    assert {each["spec"]["ipFamilyPolicy"] for each in ours} == {"PreferDualStack"}


def test_what_is_rendered_without_a_cluster_names_every_secret_that_it_would_make_anew() -> None:
    elsewhere: Values = {
        "renderedElsewhere": True,
        **DESK,
        "tickets": {"webhook": {"url": "https://hooks.example.com"}},
    }
    refused = attempt(SWITCHBOARD, values=elsewhere).stderr
    wanted = ("postgres", "callers", "callKey", "gateway.names", "tickets.webhook", "restate.identity", "staff")
    wanted = (*wanted, "console.sessions")
    assert all(f"{name}.existingSecret" in refused for name in wanted)
    brought: Values = merge(elsewhere, {"tickets": {"webhook": {"existingSecret": "hook"}}, "restate": IDENTITY})
    brought = merge(brought, {"gateway": {"names": {"existingSecret": "names"}}})
    brought = merge(brought, {"console": {"sessions": {"existingSecret": "sessions"}}})
    for name in ("postgres", "callers", "callKey", "staff"):
        brought = merge(brought, {name: {"existingSecret": name}})
    assert of_kind(render(SWITCHBOARD, values=brought), "Secret") == []
