"""What is asked of Restate to register again what it has lost."""

import asyncio
from typing import Any

from registry.registration.restorer import Restorer


def test_who_has_nothing_to_restore_asks_nothing() -> None:
    nobody: Any = None
    asyncio.run(Restorer(nobody, lambda: {"own": "http://127.0.0.1:9080"}, ["own"]).restore())
