"""`python -m tests.races [how many]`: two people and a stop decide a call at one instant, in a real PostgreSQL."""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from conversations.approvals_store import ApprovalStore
from conversations.undo_store import UndoStore
from runtime.postgres import open_pool
from standalone.ports import free_port
from tests.durable.test_approval_store import Raced
from tests.parts.conversations import conversations_database
from tests.parts.postgres import PostgresServer

AT_ONCE = 4


async def main(many: int) -> None:
    chance, won, began = random.Random(0), Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="races-") as folder:
        server = PostgresServer(Path(folder), free_port(), "races")
        await server.start()
        try:
            database = await conversations_database(server, "races")
            async with open_pool(database.app, "conversations") as pool:
                raced = Raced(UndoStore(pool), ApprovalStore(pool))
                while won.total() < many:
                    won.update(await asyncio.gather(*(raced.race(chance) for _ in range(AT_ONCE))))
        finally:
            await server.stop("immediate")
    print(f"{won.total()} races, each with one winner: {dict(won)}, {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
