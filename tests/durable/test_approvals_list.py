"""The list of approvals in pages: each once, in the order in which staff need them."""

from datetime import UTC, datetime

import pytest

from contracts import ApprovalLine, ApprovalsQuery
from conversations.approvals_store import ApprovalStore
from runtime.postgres import open_pool
from standalone.seed.approvals import keep_approvals
from tests.conftest import ONCE
from tests.parts.conversations import ConversationsDatabase, conversations_database
from tests.parts.postgres import PostgresServer

pytestmark = ONCE

WANTED = 60


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> ConversationsDatabase:
    return await conversations_database(postgres, "approvals_list_test")


@pytest.mark.parametrize("decided", [False, True])
async def test_pages_of_approvals_show_each_once(database: ConversationsDatabase, decided: bool) -> None:
    seen, cursor, more = list[ApprovalLine](), "", True
    async with open_pool(database.app, "conversations") as pool:
        await keep_approvals(pool, WANTED, ["user_1", "user_2", "user_3"], datetime.now(UTC))
        while more:
            asked = ApprovalsQuery(staff_token="", decided=decided, limit=7, cursor=cursor)
            page = await ApprovalStore(pool).listed(asked)
            seen, cursor, more = seen + page.approvals, page.next, bool(page.next)
    status = "status <> 'pending'" if decided else "status = 'pending'"
    rows = await database.rows(f"SELECT approval_id FROM approvals WHERE {status}")
    assert 0 < len(rows) < WANTED
    assert sorted(each.approval_id for each in seen) == sorted(row["approval_id"] for row in rows)
    urgent = [each.asked_at if decided else each.expires_at for each in seen]
    assert urgent == sorted(urgent, reverse=decided)
