"""What a person types after `make`, and what a model writes, is obeyed by no make, no shell and no terminal."""

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
    "sweep": ("ARGS",),
    "telemetry": ("ARGS",),
    "demo": ("ARGS",),
}


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
