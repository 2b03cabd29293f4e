"""The Tiltfile: evaluated as Starlark, with Tilt's functions written down and their arguments checked.

Tilt itself is not run here. The signatures are those of Tilt's API reference: https://docs.tilt.dev/api.html
"""

import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlark", reason="it has no wheel for this Python on this machine")
import starlark

ROOT = Path(__file__).parents[2]
SERVICES = {"router", "users", "tickets", "conversations", "gateway", "registry", "demo_model"}

PRELUDE = """
os = struct(getenv=getenv)

def port_forward(local_port, container_port=None, name=None, link_path=None, host=None):
    return {'port': local_port, 'name': name}

def link(url, name=None):
    return {'url': url, 'name': name}

def fall_back_on(files):
    return {'fall_back_on': files}

def sync(local_path, remote_path):
    return {'sync': [local_path, remote_path]}

def version_settings(check_updates=True, constraint=''):
    pass

def allow_k8s_contexts(contexts):
    pass

def k8s_context():
    return 'kind-switchboard'

def k8s_namespace():
    return 'default'

def watch_file(file_path):
    record('watched', file_path)

def local(command, quiet=False, command_bat='', echo_off=False, env={}, dir='', stdin=None):
    record('local', command)
    return 'kind: List'

def k8s_yaml(yaml, allow_duplicates=False):
    record('yaml', yaml)

def docker_build(ref, context, build_args={}, dockerfile='Dockerfile', live_update=[], ignore=[], only=[], target=''):
    record('build', {'ref': ref, 'args': build_args, 'live_update': live_update, 'only': only, 'target': target})

def k8s_resource(workload='', new_name='', port_forwards=[], resource_deps=[], links=[], labels=[]):
    record('resource', {'workload': workload, 'name': new_name, 'ports': port_forwards, 'deps': resource_deps,
                        'links': links, 'labels': labels})

def local_resource(name, cmd, deps=None, resource_deps=[], labels=[]):
    record('command', {'name': name, 'cmd': cmd, 'watched': deps, 'deps': resource_deps, 'labels': labels})
"""

BUTTONS = """
location = struct(RESOURCE='resource', NAV='nav')

def cmd_button(name, resource='', argv=[], text=None, location='resource', icon_name=None, icon_svg=None, inputs=[]):
    record('button', {'name': name, 'resource': resource, 'argv': argv, 'location': location, 'inputs': inputs})

def text_input(name, label='', default='', placeholder=''):
    return name
"""


class Tilt:
    """What the Tiltfile asked for, by kind."""

    def __init__(self, **env: str) -> None:
        self.asked: dict[str, list[Any]] = {}
        self.env = env
        module = self.evaluate(starlark.Module(), "prelude", PRELUDE)
        self.evaluate(module, "Tiltfile", (ROOT / "Tiltfile").read_text())

    def evaluate(self, module: starlark.Module, name: str, text: str) -> starlark.Module:
        module.add_callable("record", lambda kind, what: self.asked.setdefault(kind, []).append(what))
        module.add_callable("getenv", lambda key, default=None: self.env.get(key, default))
        dialect = starlark.Dialect.extended()
        dialect.enable_top_level_stmt = True
        dialect.enable_f_strings = False
        known = starlark.Globals.extended_by([starlark.LibraryExtension.StructType])
        starlark.eval(module, starlark.parse(name, text, dialect), known, starlark.FileLoader(self.extension))
        return module

    def extension(self, name: str) -> starlark.FrozenModule:
        assert name == "ext://uibutton"
        return self.evaluate(starlark.Module(), name, BUTTONS).freeze()

    def steps(self, kind: str) -> list[Any]:
        return [step[kind] for build in self.asked["build"] for step in build["live_update"] if kind in step]


@pytest.fixture(scope="module")
def tilt() -> Tilt:
    return Tilt()


def test_it_is_short() -> None:
    assert len((ROOT / "Tiltfile").read_text().splitlines()) <= 80


def test_every_service_is_built_from_the_development_target_of_the_dockerfile(tilt: Tilt) -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert {build["args"]["SERVICE"] for build in tilt.asked["build"]} == SERVICES
    for build in tilt.asked["build"]:
        assert build["ref"] == f"switchboard/{build['args']['SERVICE']}"
        assert build["target"] in targets


def test_every_file_that_it_names_exists(tilt: Tilt) -> None:
    named = tilt.asked["watched"] + [path for command in tilt.asked["command"] for path in command["watched"]]
    named += [path for build in tilt.asked["build"] for path in build["only"]]
    named += [path for paths in tilt.steps("fall_back_on") for path in paths]
    named += [source for source, _ in tilt.steps("sync")]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_a_changed_source_is_put_where_the_development_image_runs_it(tilt: Tilt) -> None:
    copied = re.findall(r"^COPY --chown=10001:10001 (\S+) (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for build in tilt.asked["build"]:
        service = build["args"]["SERVICE"]
        places = {source.replace("${SERVICE}", service): to.replace("${SERVICE}", service) for source, to in copied}
        synced = dict(step["sync"] for step in build["live_update"] if "sync" in step)
        assert synced == {f"{source}/src": f"{to}/src" for source, to in places.items()}


def test_what_is_synced_or_rebuilt_from_is_part_of_the_build(tilt: Tilt) -> None:
    for build in tilt.asked["build"]:
        used = [step["sync"][0] for step in build["live_update"] if "sync" in step]
        used += [path for step in build["live_update"] for path in step.get("fall_back_on", [])]
        assert [path for path in used if not path.startswith(tuple(build["only"]))] == []


def test_the_chart_is_rendered_without_hooks_and_with_what_the_cluster_has(tilt: Tilt) -> None:
    [command] = tilt.asked["local"]
    assert command[:4] == ["helm", "template", "switchboard", "charts/switchboard"]
    assert {"--no-hooks", "--dry-run=server", "--is-upgrade"} <= set(command)
    assert "k8s/dev-values.yaml" in command


def test_every_part_waits_only_for_parts_that_stand_above_it(tilt: Tilt) -> None:
    seen: set[str] = set()
    for part in tilt.asked["resource"] + tilt.asked["command"]:
        assert set(part["deps"]) <= seen, part["name"]
        assert set(part["labels"]) <= {"agent", "data", "restate"}
        seen.add(part["name"])
    assert seen >= {name.replace("_", "-") for name in SERVICES}


def test_a_saved_source_of_any_registered_service_registers_again_by_force(tilt: Tilt) -> None:
    [register] = tilt.asked["command"]
    assert "FORCE=true" in register["cmd"]
    rooms = {"contracts", "runtime", "router", "users", "tickets", "conversations"}
    assert set(register["watched"]) == {f"services/{room}/src" for room in rooms}


def test_the_buttons_ask_crash_kill_and_test(tilt: Tilt) -> None:
    parts = {part["name"] for part in tilt.asked["resource"]}
    buttons = {button["name"]: button for button in tilt.asked["button"]}
    assert set(buttons) == {"ask", "crash", "kill", "test"}
    for button in buttons.values():
        assert button["resource"] in parts if button["location"] == "resource" else not button["resource"]
        command = " ".join(button["argv"])
        assert set(button["inputs"]) == set(re.findall(r"\$([A-Z]+)", command))


def test_grafana_is_linked_only_where_there_is_one(tilt: Tilt) -> None:
    def links(tilt: Tilt) -> list[Any]:
        return [link["url"] for part in tilt.asked["resource"] for link in part["links"]]

    assert links(tilt) == []
    assert links(Tilt(GRAFANA_URL="http://localhost:3000")) == ["http://localhost:3000"]
