"""kind's own code reads the configuration of `make demo`'s cluster; no such cluster is made."""

from pathlib import Path

import pytest

from tests.charts.charts import ROOT, tool

CONFIGURATION = ROOT / "k8s" / "kind" / "cluster.yaml"

BROKEN = {
    "a misspelt key": ("nodes:", "node:", "field node not found"),
    "a version that kind does not know": ("/v1alpha4", "/v1beta1", "unknown apiVersion"),
    "a role that no node has": ("control-plane", "controlplane", "is not a valid node role"),
    "no node that controls": ("control-plane", "worker", "must have at least one control-plane node"),
    "a name that is none": ("name: switchboard", "name: Switch board", "is not a valid cluster name"),
}


def test_kind_takes_the_configuration_of_the_demo() -> None:
    done = tool("kind-config", str(CONFIGURATION))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("fault", BROKEN)
def test_kind_refuses_a_broken_configuration(tmp_path: Path, fault: str) -> None:
    right, wrong, word = BROKEN[fault]
    text = CONFIGURATION.read_text()
    assert right in text
    broken = tmp_path / "cluster.yaml"
    broken.write_text(text.replace(right, wrong))
    done = tool("kind-config", str(broken))
    assert done.returncode == 1
    assert word in done.stderr
