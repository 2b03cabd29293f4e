"""A router whose conversations' database comes up after it, and goes away."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from standalone.ports import free_port
from tests.parts import nursery
from tests.parts.board import Board, start_board, text, until
from tests.parts.conversations import Talk, conversations_database, start_conversations
from tests.parts.postgres import PostgresServer
from tests.parts.restate import RestateServer
from tests.parts.service import Service
from tests.parts.signed import KEYS

SETTING = "CONVERSATIONS_DATABASE_URL"


@pytest.fixture(scope="module")
async def later(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PostgresServer]:
    """A server that nobody has started yet."""
    server = PostgresServer(tmp_path_factory.mktemp("later"), free_port(), "test-password")
    yield server
    await server.stop("immediate")


async def test_a_question_is_answered_while_the_database_and_its_roles_are_not_made_yet(
    own_restate: RestateServer, service: Callable[..., Awaitable[Service]], later: PostgresServer
) -> None:
    url = later.url("conversations_later").replace("postgres:test-password", "conversations_router:secret")
    board = await start_board(own_restate, service, **{SETTING: url})
    assert await answered(board)

    await later.start()
    await until(lambda: says(board.router, "InvalidPasswordError"))
    assert await answered(board)

    database = await conversations_database(later, "conversations_later")
    await start_conversations(board, service, database)
    talk = Talk(board, database)
    await talk.say(await board.script(text("Hello yourself."), text("Here I am again.")))
    assert await talk.answers() == ["Hello yourself."]

    await later.stop("immediate")
    assert await answered(board)

    await later.start()
    await talk.say("And are you there now, too, that it is back?")
    assert await talk.answers(2) == ["Hello yourself.", "Here I am again."]
    told = await database.rows("SELECT kind FROM events WHERE conversation_id = $1 ORDER BY position", talk.key)
    assert [each["kind"] for each in told] == ["input", "run_started", "turn", "answer", "run_ended"] * 2


async def answered(board: Board) -> bool:
    answer = await board.answer(await board.script(text("Without it.")))
    return answer["text"] == "Without it."


async def says(router: Service, reason: str) -> bool:
    log = router.log.read_text()
    return any(reason in line and SETTING in line for line in log.splitlines())


async def test_a_role_that_row_level_security_does_not_bind_ends_the_router_as_soon_as_it_is_seen(
    postgres: PostgresServer,
) -> None:
    url = postgres.database("conversations_too_strong")
    settings = {"TRUST_USER_ID": "true", "PORT": str(free_port()), SETTING: url}
    code, _, said = await nursery.run("router", env=KEYS | settings, seconds=20)
    assert code == 1
    assert said.strip().endswith(
        f"setting {SETTING}: its role owns schema conversations or bypasses row-level security; use the login role"
    )
