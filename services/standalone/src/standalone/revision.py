"""A name for the code that a service runs now, so that a journal is never replayed by other code."""

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[4]
SHARED = ("contracts", "runtime")
FOLDED_AWAY = {"__pycache__"}


def revision_of(package: str) -> str:
    """Hash over the sources of the service, of what it imports of ours, and of the locked dependencies."""
    digest = hashlib.sha256()
    for name in (package, *SHARED):
        root = source_of(name)
        for path in _files(root):
            digest.update(f"{name}/{path.relative_to(root)}\0".encode() + path.read_bytes() + b"\0")
    lock = CHECKOUT / "requirements.lock"
    digest.update(lock.read_bytes() if lock.exists() else b"")
    return digest.hexdigest()[:12]


def source_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec
    assert spec.submodule_search_locations
    return Path(next(iter(spec.submodule_search_locations)))


def _files(root: Path) -> Iterator[Path]:
    return (path for path in sorted(root.rglob("*")) if path.is_file() and not FOLDED_AWAY & set(path.parts))
