"""Whose code our processes run: that of this working tree, or a former commit's, checked out beside it."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from standalone.postgres import SUPERUSER
from standalone.process import inherited
from tests.bench.report import OURS

ROOT = Path(__file__).parents[2]
ROOMS = {"contracts", "runtime", "router", "users", "tickets", "registry"}
"""What a measured process may import of ours."""

FIND = """
import importlib.util, json, sys
found = {name: importlib.util.find_spec(name) for name in sys.argv[1:]}
print(json.dumps({name: spec and spec.origin for name, spec in found.items()}))
"""


@dataclass(frozen=True)
class Code:
    """A checkout of this repository, and the database that its processes use."""

    name: str
    folder: Path
    database: str

    @property
    def env(self) -> dict[str, str]:
        """Puts its packages in front of the installed ones."""
        return {"PYTHONPATH": os.pathsep.join(str(path) for path in sorted(self.folder.glob("services/*/src")))}

    async def command(self, *words: str, env: Mapping[str, str]) -> None:
        """Runs `python -m <words>` of this code to its end."""
        await _python("-m", *words, env={**inherited(), **self.env, **env})

    async def prove(self, pid: int) -> None:
        """Ends the bench unless a process with this one's environment and folder finds all rooms in this checkout."""
        process = psutil.Process(pid)
        rooms = ROOMS | {path.parent.name for path in self.folder.glob("services/*/src/*/__init__.py")}
        told = await _python("-c", FIND, *sorted(rooms), env=process.environ(), cwd=process.cwd())
        if wrong := elsewhere(json.loads(told), self.folder):
            raise SystemExit(f"{self.name} would run code that is not in {self.folder}: {', '.join(wrong)}")


PRESENT = Code(OURS, ROOT, SUPERUSER)


def elsewhere(found: Mapping[str, str | None], folder: Path) -> list[str]:
    """The packages that are not found in the services of this folder, and where they are instead."""
    services = folder.resolve() / "services"
    return [
        f"{name} ({place or 'nowhere'})"
        for name, place in found.items()
        if place is None or not Path(place).resolve().is_relative_to(services)
    ]


@contextmanager
def checked_out(revision: str) -> Generator[Code]:
    """A former commit in a worktree of its own, which is removed again."""
    sha = _git("rev-parse", "--verify", f"{revision}^{{commit}}")
    with tempfile.TemporaryDirectory(prefix="bench-former-") as folder:
        tree = Path(folder) / "tree"
        _git("worktree", "add", "--quiet", "--detach", str(tree), sha)
        try:
            yield Code(f"{OURS} at {_git('rev-parse', '--short', sha)}", tree, "former")
        finally:
            _git("worktree", "remove", "--force", str(tree))


def compared(former: Code) -> list[str]:
    """What the two are, in words for the report."""
    changed = ", with changes" if _git("status", "--porcelain") else ""
    notes = [f"{OURS}: {_subject(ROOT)}{changed}", f"{former.name}: {_subject(former.folder)}"]
    if _locked(former.folder) != _locked(ROOT):
        notes.append("requirements.lock differs: both were measured with the dependencies that are installed now")
    return notes


def _subject(folder: Path) -> str:
    return _git("log", "-1", "--format=%h %s", folder=folder)


def _locked(folder: Path) -> str:
    path = folder / "requirements.lock"
    return path.read_text() if path.exists() else ""


def _git(*words: str, folder: Path = ROOT) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()


async def _python(*words: str, env: Mapping[str, str], cwd: str | None = None) -> str:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, *words, env=env, cwd=cwd, stdout=pipe, stderr=pipe)
    out, error = await child.communicate()
    if child.returncode:
        raise SystemExit(f"python {' '.join(words)}: {(error or out).decode(errors='replace')[-1000:]}")
    return out.decode()
