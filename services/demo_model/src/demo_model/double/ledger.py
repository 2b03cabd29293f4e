"""The ledger: every chat call that was served, the only honest count of paid calls."""

import hashlib
import json
import os
import time
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

KEPT = 100_000
FIRST_CHARACTERS = 300


class Entry(NamedTuple):
    """One call. `paid`: a real provider would have charged for it, for it was neither refused nor failed at once."""

    number: int
    time: float
    first: str
    turns: int
    model: str
    outcome: str
    paid: bool
    digest: str


class Ledger:
    """Calls in memory, the latest `KEPT`; and in a file, if one is named, so that they survive a restart."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._file: int | None = None
        self._number = 0
        if path is not None:
            self._load(path)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def _load(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = path.read_text() if path.exists() else ""
        for line in written.splitlines():
            try:
                self._entries.append(Entry(**json.loads(line)))
            except (ValueError, TypeError):
                continue  # a kill in the middle of a line leaves half of it
        if written and not written.endswith("\n"):
            path.write_text(written + "\n")
        self._number = self._entries[-1].number if self._entries else 0

    def record(self, *, first: str, turns: int, model: str, outcome: str, paid: bool, digest: str) -> int:
        """Writes a call down; called before the reply is sent, so that a reply lost on its way is counted too."""
        self._number += 1
        entry = Entry(self._number, time.time(), first[:FIRST_CHARACTERS], turns, model, outcome, paid, digest)
        self._entries.append(entry)
        if self._file is not None:
            os.write(self._file, json.dumps(entry._asdict()).encode() + b"\n")
        return entry.number

    def read(self, match: str = "") -> dict[str, Any]:
        """The calls whose first user message contains `match`."""
        found = [entry._asdict() for entry in self._entries if match in entry.first]
        return {"count": len(found), "paid": sum(1 for one in found if one["paid"]), "calls": found}

    def clear(self) -> None:
        self._entries.clear()
        self._number = 0
        if self._file is not None:
            os.ftruncate(self._file, 0)

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def digest(messages: list[dict[str, Any]]) -> str:
    """Tells whether two calls sent the same messages."""
    return hashlib.blake2b(json.dumps(messages).encode(), digest_size=12).hexdigest()
