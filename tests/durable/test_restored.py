"""A Restate that is restored from a backup, and clients that ask again what it has forgotten."""

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.parts.board import Board, calls, start_board, text, until
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer
from tests.parts.service import Service
from tests.parts.tickets import TicketsDatabase, tickets_database

Launch = Callable[..., Awaitable[Service]]

TICKET = {"subject": "Empty dashboard", "description": "The chart shows nothing since this morning."}


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> TicketsDatabase:
    return await tickets_database(postgres, "restored_test")


@pytest.fixture(scope="module")
async def board(
    own_restate: RestateServer, service: Launch, database: TicketsDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Board:
    """With the product's own tickets, as the product's own."""
    tickets = await service("tickets", DATABASE_URL=database.app)
    wanted = tmp_path_factory.mktemp("wanted") / "deployments"
    wanted.write_text(f"tickets={tickets.url}")
    board = await start_board(own_restate, service, {"WANTED_DEPLOYMENTS_FILE": str(wanted)})
    await own_restate.register(tickets.url)
    await until(lambda: offers_tickets(board))
    return board


async def offers_tickets(board: Board) -> bool:
    await board.answer(message := await board.script(text("done")))
    return "create_support_ticket" in str((await board.conversation(message))["tools"])


async def test_a_question_that_is_asked_again_after_a_restore_makes_no_second_ticket(
    board: Board, database: TicketsDatabase, tmp_path: Path
) -> None:
    message = await board.script(
        calls(("create_support_ticket", TICKET), ("create_support_ticket", TICKET | {"subject": "Another"})),
        text("done"),
    )
    await board.restate.stop()
    shutil.copytree(board.restate.folder, tmp_path / "backup")
    await board.restate.start()
    first = await ask(board, message)
    await board.restate.stop()
    shutil.rmtree(board.restate.folder)
    shutil.copytree(tmp_path / "backup", board.restate.folder)
    await board.restate.start()
    again = await ask(board, message)
    assert len(await board.ledger(message)) == 4, "Restate has not forgotten the question"
    assert again.json()["tickets"] == first.json()["tickets"]
    assert len(first.json()["tickets"]) == 2
    assert len(await database.rows("SELECT 1 FROM tickets")) == 2


async def ask(board: Board, message: str) -> HttpReply:
    reply = await board.ask(message, idempotency_key="message 4711")
    assert reply.status_code == 200, reply.text
    return reply
