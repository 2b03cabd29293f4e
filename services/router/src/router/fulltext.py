"""Rows that are found by their words: SQLite's FTS5 in memory, written once, then read by any thread."""

import sqlite3
import weakref
from collections.abc import Iterable
from threading import Lock
from typing import Any


class FullText:
    def __init__(self, table: str, columns: str, rows: Iterable[tuple[str, ...]]) -> None:
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        weakref.finalize(self, self._db.close)
        # A connection keeps its statements, and hands the same one to two threads that come at once.
        self._one_at_a_time = Lock()
        with self._db:
            self._db.execute(f"CREATE VIRTUAL TABLE {table} USING fts5({columns})")
            for row in rows:
                self._db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608

    def find(self, query: str, *values: str | int) -> list[Any]:
        with self._one_at_a_time:
            return self._db.execute(query, values).fetchall()
