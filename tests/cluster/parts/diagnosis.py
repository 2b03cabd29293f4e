"""What one needs to know of a namespace in which a test failed."""

import subprocess
from pathlib import Path

from tests.cluster.parts.settings import ROOT, SETTINGS, TOOL_ENVIRONMENT

INVOCATIONS = (
    "select id, target, status, retry_count, last_failure_error_code, last_failure, completion_failure "
    "from sys_invocation where status <> 'completed' or completion_result = 'failure'"
)
QUERY = f"""
import json, urllib.request as http
body = json.dumps({{"query": {INVOCATIONS!r}}}).encode()
headers = {{"Content-Type": "application/json", "Accept": "application/json"}}
request = http.Request("http://switchboard-restate:9070/query", body, headers)
for row in json.load(http.urlopen(request, timeout=20))["rows"]:
    print(row)
"""
"""The registry is the one room that may ask."""

TAIL = 60
"""Lines of each log that are shown; the folder has all of them."""


def dump(namespace: str, test: str) -> str:
    """Writes objects, events, logs and open invocations into a folder; returns the folder and what matters most."""
    folder = SETTINGS.dump_dir / test / namespace
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    shown = [_save(folder, namespace, "objects", "get", "all,jobs,configmaps,secrets,pvc", "--output", "wide")]
    shown += [_save(folder, namespace, "events", "get", "events", "--sort-by=.lastTimestamp")]
    _save(folder, namespace, "pods", "describe", "pods")
    for pod in _kubectl(namespace, "get", "pods", "--output", "name").split():
        shown += [_save(folder, namespace, pod.replace("/", "-"), "logs", pod, "--all-containers", "--prefix")]
    registry = ("exec", "deployment/switchboard-registry", "--", "python", "-c", QUERY)
    shown += [_save(folder, namespace, "invocations", *registry)]
    return "\n\n".join([f"all of it is in {folder}", *shown])


def _save(folder: Path, namespace: str, name: str, *arguments: str) -> str:
    said = _kubectl(namespace, *arguments)
    (folder / f"{name}.txt").write_text(said)
    return "\n".join([f"--- {name}", *said.splitlines()[-TAIL:]])


def _kubectl(namespace: str, *arguments: str) -> str:
    command = ["kubectl", "--namespace", namespace, *arguments]
    try:
        done = subprocess.run(
            command, env=TOOL_ENVIRONMENT, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stdout + done.stderr
