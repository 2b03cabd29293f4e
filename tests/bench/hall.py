"""Where conversations are held for the bench: the stand-in model, router, registry, example tools and conversations."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from runtime.postgres.pool import Connections
from standalone.ports import free_port
from tests.parts.board import Board, start_board
from tests.parts.conversations import ConversationsDatabase, Talk, conversations_database, start_conversations
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service


@dataclass(frozen=True)
class Hall:
    """A board with the room of the conversations; `looking` are connections to its schema, for who measures."""

    board: Board
    database: ConversationsDatabase
    room: Service
    postgres: PostgresServer
    looking: Connections

    def talk(self) -> Talk:
        return Talk(self.board, self.database)


@asynccontextmanager
async def hall(folder: Path, room: Mapping[str, str] | None = None, /, **router: str) -> AsyncGenerator[Hall]:
    """Everything of its own; what was started is ended. `room` are settings of the conversations."""
    Service.forks = False  # what is measured runs in a Python of its own, which has imported its own room alone
    async with AsyncExitStack() as stack:

        async def launch(module: str, *, name: str = "", port: int = 0, **env: str) -> Service:
            service = Service(module, folder, env, name=name, port=port)
            await service.start()
            stack.push_async_callback(service.kill)
            return service

        postgres = PostgresServer(folder, free_port(), "bench")
        await postgres.start()
        stack.push_async_callback(postgres.stop, "immediate")
        restate = RestateServer(folder)
        await restate.start()
        stack.push_async_callback(restate.kill)
        database = await conversations_database(postgres, "hall")
        settings = {"CONVERSATIONS_DATABASE_URL": database.router} | router
        board = await start_board(restate, launch, **settings)
        started = await start_conversations(board, launch, database, COALESCE_MS="0", **(room or {}))
        pool = asyncpg.create_pool(database.admin, server_settings={"search_path": "conversations"}, min_size=1)
        yield Hall(board, database, started, postgres, await stack.enter_async_context(pool))
