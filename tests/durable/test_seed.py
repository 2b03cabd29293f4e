"""`make seed` fills a demo's database with what the desk can work with, and no other database."""

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from standalone.database import read_passwords
from standalone.postgres import SUPERUSER, superuser_url
from tests.conftest import ONCE
from tests.parts.polling import eventually
from tests.parts.staff import StaffBrowser
from tests.parts.standalone import Standalone

pytestmark = ONCE

TICKETS, MESSAGES = 150, 1200


@pytest.fixture(scope="module")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Standalone]:
    machine = Standalone(tmp_path_factory.mktemp("machine") / "data", PROMETHEUS_PORT="0")
    try:
        await machine.start(seconds=120)
        yield machine
    finally:
        await machine.interrupt()
        await machine.clean_up()


@pytest.fixture(scope="module")
def seeded(machine: Standalone) -> str:
    done = seed(machine)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
async def staff(machine: Standalone, seeded: str) -> AsyncIterator[StaffBrowser]:
    async with StaffBrowser(f"http://127.0.0.1:{machine.ports['CONSOLE_PORT']}") as staff:
        await staff.sign_in("carla")
        yield staff


def seed(machine: Standalone, tickets: int = TICKETS, messages: int = MESSAGES) -> Any:
    return machine.run_command("seed", "--tickets", str(tickets), "--messages", str(messages), seconds=600)


async def rows(machine: Standalone, query: str) -> list[Any]:
    url = superuser_url(machine.ports["POSTGRES_PORT"], read_passwords(machine.data_dir)[SUPERUSER])
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(query)]
    finally:
        await connection.close()


COUNTS = """
SELECT (SELECT count(*) FROM tickets.tickets WHERE workflow_key LIKE 'demo/%'),
    (SELECT count(*) FROM conversations.entries WHERE conversation_id LIKE 'conv_demo%' AND run LIKE 'run_demo%'
     AND kind IN ('message', 'answer')),
    (SELECT count(*) FROM conversations.approvals WHERE approval_id LIKE 'appr_demo%'),
    (SELECT count(*) FROM tickets.audit JOIN tickets.tickets USING (ticket_id) WHERE workflow_key LIKE 'demo/%')
"""


async def test_a_repeat_adds_nothing_and_more_adds_what_is_missing(machine: Standalone, seeded: str) -> None:
    assert "demo data" in seeded
    before = await rows(machine, COUNTS)
    assert before[0][:3] == (TICKETS, MESSAGES, TICKETS // 20)
    again = seed(machine)
    assert (again.returncode, await rows(machine, COUNTS)) == (0, before)
    assert seed(machine, TICKETS + 10).returncode == 0
    assert (await rows(machine, COUNTS))[0][:2] == (TICKETS + 10, MESSAGES)


WRONG = {
    "a state that no ticket has": """
        SELECT state FROM unnest(ARRAY['new', 'open', 'waiting', 'solved', 'closed']) AS state
        EXCEPT SELECT state FROM tickets.tickets WHERE workflow_key LIKE 'demo/%'""",
    "history out of order": """
        SELECT ticket_id FROM (SELECT ticket_id, at, lag(at) OVER (PARTITION BY ticket_id ORDER BY audit_id) AS before
                               FROM tickets.audit) AS line WHERE at < before""",
    "a ticket that begins with something else": """
        SELECT ticket_id FROM (SELECT DISTINCT ON (ticket_id) ticket_id, action, acting FROM tickets.audit
                               ORDER BY ticket_id, audit_id) AS first
        WHERE (action, acting) <> ('create', 'customer')""",
    "something done in the future": "SELECT ticket_id FROM tickets.audit WHERE at > now()",
    "unfinished, and nobody looks after it": """
        SELECT ticket_id FROM tickets.tickets WHERE state <> 'closed' AND workflow_key LIKE 'demo/%'
        AND coalesce(next_look_at, '-infinity') < now() - interval '2 minutes'""",
    "positions with gaps": """
        SELECT c.conversation_id FROM conversations.conversations c JOIN conversations.entries e USING (conversation_id)
        GROUP BY c.conversation_id, c.next_entry
        HAVING max(e.position) <> count(*) OR c.next_entry <> count(*) + 1""",
    "a run that nobody asked": """
        SELECT run FROM conversations.runs r WHERE run LIKE 'run_demo%' AND outcome = 'answered'
        AND NOT EXISTS (SELECT FROM conversations.inputs i WHERE i.run = r.run)""",
    "words that are not searched": """
        SELECT conversation_id, position FROM conversations.entries WHERE kind IN ('message', 'answer', 'person')
        EXCEPT SELECT conversation_id, position FROM conversations.words""",
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_seeded_fits_together(machine: Standalone, seeded: str, wrong: str) -> None:
    assert await rows(machine, WRONG[wrong]) == []


async def test_a_seeded_ticket_is_worked_on(staff: StaffBrowser) -> None:
    listed = await staff.get("/queue?kind=tickets&state=new")
    path = re.findall(r'href="(/tickets/TCK-[0-9]+)"', listed.text)[0]
    assert "Demo data." in (await staff.get(path)).text
    done = await staff.send(path, act="reply", state="waiting", text="We look at it.")
    assert (done.status, "We look at it." in done.text, '<span class="state waiting">' in done.text) == (
        200,
        True,
        True,
    )


async def test_a_seeded_conversation_is_taken_answered_and_given_back(machine: Standalone, staff: StaffBrowser) -> None:
    listed = await staff.get("/queue?kind=conversations&who=nobody")
    path = re.findall(r'href="(/conversations/conv_demo[0-9]+)"', listed.text)[0]
    assert "It waits for a person" in (await staff.get(path)).text
    assert "You speak; the agent is silent." in (await staff.send(path, act="take")).text
    assert "Here I am." in (await staff.send(path, act="say", text="Here I am.")).text
    assert "The agent speaks." in (await staff.send(path, act="return")).text


async def test_the_agent_goes_on_in_a_seeded_conversation(machine: Standalone, seeded: str) -> None:
    [(key,)] = await rows(
        machine,
        "SELECT conversation_id FROM conversations.conversations"
        " WHERE conversation_id LIKE 'conv_demo%' AND user_id = 'user_12345' AND stretch = '' LIMIT 1",
    )
    runs = f"SELECT state FROM conversations.runs WHERE conversation_id = '{key}' AND run NOT LIKE 'run_demo%'"
    said = await machine.gateway("POST", f"/api/v1/conversations/{key}/inputs", {"text": "And now?"})
    assert said.status_code in (200, 202), said.text

    async def answered() -> bool:
        return await rows(machine, runs) == [("ended",)]

    await eventually(answered, seconds=30)


async def test_a_seeded_approval_is_decided(staff: StaffBrowser) -> None:
    path = re.findall(r'href="(/approvals/appr_demo[0-9]+)"', (await staff.get("/approvals")).text)[0]
    assert "no call follows" in (await staff.get(path)).text
    assert "approved</strong> by <strong>carla" in (await staff.send(path, choice="approve")).text


async def test_nothing_is_seeded_beside_what_is_real(machine: Standalone, seeded: str) -> None:
    before = await rows(machine, COUNTS)
    real = "INSERT INTO tickets.tickets (workflow_key, user_id, subject, description, category, priority, sla_due_at)"
    await rows(machine, f"{real} VALUES ('real', 'user_real', 'Help', 'Words', 'bug', 'normal', now())")
    refused = seed(machine, TICKETS * 2)
    assert (refused.returncode, "this is no demo: user_real" in refused.stderr + refused.stdout) == (1, True)
    await rows(machine, "DELETE FROM tickets.tickets WHERE workflow_key = 'real'")
    ports = {name: str(port) for name, port in machine.ports.items()}
    of_a_company = Standalone(machine.data_dir, OIDC_ISSUER="https://login.example.com", **ports)
    refused = seed(of_a_company, TICKETS * 2)
    assert (refused.returncode, "setting OIDC_ISSUER" in refused.stderr + refused.stdout) == (1, True)
    assert await rows(machine, COUNTS) == before
