"""What a person types after `make`, and what a model writes, is obeyed by no make, no shell and no terminal."""

import os
import subprocess
from pathlib import Path

import pytest

from runtime.terminal import printable
from standalone.terminal import complain, say

ROOT = Path(__file__).parents[2]
TARGETS = {
    "ask": ("USER_ID", "Q"),
    "tickets": ("ARGS",),
    "accept": ("ARGS",),
    "test-operation": ("JOBS",),
    "test-whole": ("JOBS",),
    "test-replay": ("JOBS",),
    "sweep": ("ARGS",),
    "telemetry": ("ARGS",),
    "demo": ("ARGS",),
}


ON_KUBERNETES = {
    "demo": ("NAMESPACE", "RELEASE", "LOAD"),
    "observe": ("NAMESPACE",),
    "forward": ("NAMESPACE", "RELEASE"),
    "down": ("NAMESPACE", "RELEASE"),
    "load": ("LOAD",),
    "e2e": ("LOAD",),
    "smoke": ("LOAD",),
}
"""On the cluster that kubectl points at, where all of these mean something."""
HOSTILE = [
    'x"; touch {}; "',
    "$(shell touch {})",
    "`touch {}`",
    "$$(touch {})",
    "';touch {};'",
    "x; touch {}",
    "x | touch {}",
]


@pytest.mark.parametrize("name", ["NAMESPACE", "RELEASE", "LOAD"])
@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_setting_of_a_cluster_is_no_command(tmp_path: Path, name: str, hostile: str) -> None:
    """The recipes are run by a real shell, with programs that do nothing in place of kubectl and its like."""
    for program in ("kubectl", "helm", "docker", "kind"):
        (tmp_path / program).write_text("#!/bin/sh\nexit 0\n")
        (tmp_path / program).chmod(0o755)
    typed = f"{name}=" + hostile.format(tmp_path / "made")
    for target in (target for target, names in ON_KUBERNETES.items() if name in names):
        for dry in (["--dry-run"], []) if target in ("forward", "down") else (["--dry-run"],):
            done = run_make(tmp_path, *dry, target, "CLUSTER=current", typed)
            assert "made" not in done.stdout, target
            assert not (tmp_path / "made").exists(), target


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("name", ["CLUSTER", "OBSERVE"])
def test_a_setting_that_make_itself_reads_is_no_command(tmp_path: Path, name: str, hostile: str) -> None:
    typed = f"{name}=" + hostile.format(tmp_path / "made")
    assert run_make(tmp_path, "--dry-run", "demo", typed).returncode == 2
    assert not (tmp_path / "made").exists()


def test_the_next_command_is_told_what_this_one_was(tmp_path: Path) -> None:
    recipe = tmp_path / "Makefile"
    told = "".join(f"shown: override export {name} := $({name})\n" for name in ("CLUSTER", "NAMESPACE"))
    recipe.write_text(f"include {ROOT}/Makefile\n{told}shown:\n\t@$(call say_again,down)\n")
    said = run_make(tmp_path, "--file", str(recipe), "shown", "CLUSTER=current", "NAMESPACE=a`b`").stdout
    assert said == "  make down CLUSTER=current NAMESPACE=a`b`\n"


def run_make(programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_that_loads_images_is_words_and_no_shell(tmp_path: Path) -> None:
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho '{}'\n")
    (tmp_path / "load").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\n')
    for program in ("kubectl", "load"):
        (tmp_path / program).chmod(0o755)
    (tmp_path / ".tools").mkdir()
    (tmp_path / ".tools/images").write_text("switchboard/router:1\n")
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "LOAD": f"load $(touch {tmp_path}/made) ; * a"}
    done = subprocess.run([ROOT / "k8s/load.sh"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    words = ["$(touch", f"{tmp_path}/made)", ";", "*", "a", "switchboard/router:1"]
    assert (tmp_path / "words").read_text().split("\n")[:-1] == words
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(("target", "name"), [(target, name) for target, names in TARGETS.items() for name in names])
@pytest.mark.parametrize(
    "hostile", ['x"; touch {}; "', "$(shell touch {})", "`touch {}`", "$$(touch {})", "';touch {};'"]
)
def test_a_typed_setting_is_no_command(tmp_path: Path, target: str, name: str, hostile: str) -> None:
    typed = f"{name}=" + hostile.format(tmp_path / "made")
    command = ["make", "--dry-run", "--no-print-directory", target, typed]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "made" not in done.stdout
    assert not (tmp_path / "made").exists()


def test_arguments_are_words_and_reach_the_program_as_they_are(tmp_path: Path) -> None:
    typed = f"ARGS=--user '$(touch {tmp_path}/made)' \"a b\" ;touch {tmp_path}/made"
    recipe = tmp_path / "Makefile"
    recipe.write_text(f"include {ROOT}/Makefile\nshown:\n\t@$(WITH_ARGS) $(PY) -c 'import sys; print(sys.argv[1:])'\n")
    command = ["make", "--no-print-directory", "--file", str(recipe), "shown", typed]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    words = ["--user", f"$(touch {tmp_path}/made)", "a b", ";touch", f"{tmp_path}/made"]
    assert done.stdout.strip() == str(words), done.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "text", ["\x1b[2J", "a\x1b]0;title\x07b", "\x9b31m", "right\u202eleft", "over\rwritten", "\x08\x00"]
)
def test_the_terminal_obeys_nothing_that_is_shown(capsys: pytest.CaptureFixture[str], text: str) -> None:
    say(text)
    complain(text)
    shown = "".join(capsys.readouterr())
    assert not [char for char in shown if not char.isprintable() and char != "\n"]
    assert printable("Zeile 1\n\tGrüße ✓") == "Zeile 1\n\tGrüße ✓"
