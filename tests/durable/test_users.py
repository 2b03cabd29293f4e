"""The users service: the account tools on a real PostgreSQL, asked through a real Restate."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import product
from typing import Any

import asyncpg
import pytest

from runtime.errors import Refused
from runtime.postgres import Pool, caller_transaction, migrate, open_pool, provision
from tests.conftest import ONCE
from tests.parts.desk import STAFF_KEY, staff_token
from tests.parts.otlp import ReceivedSpan, Receiver
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service
from tests.parts.signed import told_for
from users import refund_store, store
from users.demo import demo_customers
from users.refunds import RefundInvoice
from users.store import MIGRATIONS

NOW = datetime.now(UTC)
IN_TROUBLE, FINE, BY_CONTRACT = "user_12345", "user_10001", "user_10017"
NOBODYS_TABLES = {"plans", "plan_limits", "schema_migrations"}
"""The only tables without anybody's data."""


def invoice(user_id: str, number: int) -> str:
    return f"INV-{user_id.removeprefix('user_')}-{number:03}"


class UsersDatabase:
    """A database with the schema `users`: its superuser, and the URLs of the two roles."""

    def __init__(self, postgres: PostgresServer) -> None:
        admin_url = postgres.database("users_tests")
        self.admin_url = admin_url
        self.owner_url = admin_url.replace("postgres:test-password", "users_owner:owner-password")
        self.app_url = admin_url.replace("postgres:test-password", "users_app:app-password")

    async def build(self) -> None:
        await provision(self.admin_url, "users", {"owner": "owner-password", "app": "app-password"})
        await migrate(self.owner_url, "users", MIGRATIONS)
        await store.replace_customers(self.owner_url, demo_customers(NOW))
        async with open_pool(self.app_url, "users") as pool:
            for user_id in (BY_CONTRACT, FINE):
                wanted = RefundInvoice(user_id=user_id, invoice_id=invoice(user_id, 1))
                await refund_store.refund(pool, user_id, f"refund of {user_id}", wanted)

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """As the superuser, whom row-level security does not bind."""
        connection = await asyncpg.connect(self.admin_url, server_settings={"search_path": "users"})
        try:
            return await connection.fetch(sql, *arguments)
        finally:
            await connection.close()

    async def tables(self) -> set[str]:
        return {row[0] for row in await self.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'users'")}

    async def snapshot(self) -> dict[str, str]:
        """The definition and every row of every table."""
        columns = await self.fetch("SELECT * FROM information_schema.columns WHERE table_schema = 'users'")
        rows = {
            table: (await self.fetch(f"SELECT json_agg(t ORDER BY t::text) FROM {table} AS t"))[0][0]
            for table in await self.tables()
        }
        return {"columns": repr(sorted(map(repr, columns))), **rows}


@pytest.fixture(scope="module")
async def database(postgres: PostgresServer) -> UsersDatabase:
    database = UsersDatabase(postgres)
    await database.build()
    return database


@pytest.fixture(scope="module")
async def pool(database: UsersDatabase) -> AsyncIterator[Pool]:
    async with open_pool(database.app_url, "users") as pool:
        yield pool


@pytest.fixture(scope="module")
async def users(
    database: UsersDatabase, restate: RestateServer, service: Callable[..., Awaitable[Service]]
) -> AsyncIterator[Service]:
    """The service, registered; its private handlers are opened so that a test can call them through the ingress."""
    users = await service("users", DATABASE_URL=database.app_url, EXPORT_SECONDS="1", STAFF_KEYS=STAFF_KEY)
    for name in await restate.register(users.url):
        reply = await request("PATCH", f"{restate.admin_url}/services/{name}", {"public": True})
        assert reply.status_code == 200, reply.text
    yield users
    await users.stop()


async def ask(restate: RestateServer, user_id: str, **arguments: Any) -> HttpReply:
    return await call(restate, "UserDatabase/query_user_database", user_id, **arguments)


async def call(restate: RestateServer, target: str, user_id: str, caller: str = "", **arguments: Any) -> HttpReply:
    service, handler = target.split("/")
    told = told_for(service, caller or user_id)
    return await restate.call(service, handler, {"user_id": user_id, **arguments}, headers=told)


async def until(condition: Callable[[], Awaitable[Any]], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


# What is stored


async def test_every_table_with_customers_data_has_forced_row_level_security(database: UsersDatabase) -> None:
    forced = await database.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'users'::regnamespace AND relkind = 'r' "
        "AND relrowsecurity AND relforcerowsecurity"
    )
    assert {row[0] for row in forced} == await database.tables() - NOBODYS_TABLES


async def test_a_wrong_query_shows_only_the_callers_rows(database: UsersDatabase, pool: Pool) -> None:
    for table in await database.tables() - NOBODYS_TABLES:
        async with caller_transaction(pool, BY_CONTRACT) as db:
            rows = await db.fetch(f"SELECT * FROM {table}")
        everybody = await database.fetch(f"SELECT DISTINCT user_id FROM {table}")
        assert len(everybody) > 1, table
        assert {row["user_id"] for row in rows} <= {BY_CONTRACT}, table
        assert rows or table == "api_errors", table


async def test_staff_who_speak_with_customers_read_an_account_and_nobody_else_does(
    users: Service, restate: RestateServer
) -> None:
    async def show(user_id: str, **claims: Any) -> HttpReply:
        told = {"staff_token": staff_token(**claims), "user_id": user_id}
        return await restate.call("AccountDesk", "show", told)

    reply = await show(IN_TROUBLE, roles=["agent"])
    assert reply.status_code == 200, reply.text
    shown = reply.json()
    assert (shown["user_id"], bool(shown["problems"])) == (IN_TROUBLE, True)
    rows = {row["name"]: row["value"] for part in shown["parts"] for row in part["rows"]}
    assert "***@" in rows["E-mail"]
    assert f"INV-{IN_TROUBLE.removeprefix('user_')}-006" in rows
    refused = [
        await show(IN_TROUBLE, roles=["approver"]),
        await show(IN_TROUBLE),
        await show("nobody", roles=["admin"]),
    ]
    assert [(each.status_code, each.json()["metadata"]["code"]) for each in refused] == [
        (403, "staff_role"),
        (403, "staff_role"),
        (404, "unknown_customer"),
    ]
    forged = staff_token(key="another-secret-of-32-bytes-of-nobody", roles=["agent"])
    reply = await restate.call("AccountDesk", "show", {"staff_token": forged, "user_id": IN_TROUBLE})
    assert reply.status_code == 401


@pytest.mark.parametrize("user_id", [None, ""])
async def test_without_a_caller_nothing_is_seen(database: UsersDatabase, user_id: str | None) -> None:
    connection = await asyncpg.connect(database.app_url, server_settings={"search_path": "users"})
    if user_id is not None:
        await connection.execute("SELECT set_config('app.user_id', $1, false)", user_id)
    for table in await database.tables() - NOBODYS_TABLES:
        assert await connection.fetch(f"SELECT * FROM {table}") == [], table
    await connection.close()


async def test_the_caller_of_one_transaction_is_forgotten_in_the_next(pool: Pool) -> None:
    async with caller_transaction(pool, FINE) as db:
        assert len(await db.fetch("SELECT * FROM customers")) == 1
    async with pool.connections.acquire() as connection:
        assert await connection.fetch("SELECT * FROM users.customers") == []


async def test_the_owner_is_bound_by_row_level_security_too(database: UsersDatabase) -> None:
    connection = await asyncpg.connect(database.owner_url, server_settings={"search_path": "users"})
    assert await connection.fetch("SELECT * FROM customers") == []
    await connection.close()


async def test_the_login_role_is_neither_owner_nor_superuser(database: UsersDatabase) -> None:
    [role] = await database.fetch("SELECT * FROM pg_roles WHERE rolname = 'users_app'")
    assert not any((role["rolsuper"], role["rolbypassrls"], role["rolcreaterole"], role["rolcreatedb"]))
    owned = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'users'::regnamespace"
    assert {row[0] for row in await database.fetch(owned)} == {"users_owner"}
    assert await database.fetch("SELECT FROM pg_auth_members WHERE member = 'users_app'::regrole") == []


async def test_the_login_role_may_only_read_and_note_refunds(database: UsersDatabase, pool: Pool) -> None:
    for table, privilege in product(await database.tables(), ("INSERT", "UPDATE", "DELETE", "TRUNCATE")):
        [row] = await database.fetch("SELECT has_table_privilege('users_app', $1, $2)", table, privilege)
        assert row[0] == ((table, privilege) == ("refunds", "INSERT")), (table, privilege)
    changeable = (
        "SELECT column_name FROM information_schema.column_privileges "
        "WHERE table_schema = 'users' AND grantee = 'users_app' AND privilege_type = 'UPDATE'"
    )
    assert {row[0] for row in await database.fetch(changeable)} == {"status", "cancelled_at"}
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("CREATE TABLE own (n int)")


async def test_seeding_twice_changes_nothing(database: UsersDatabase) -> None:
    before = await database.snapshot()
    await store.replace_customers(database.owner_url, demo_customers(NOW))
    assert await database.snapshot() == before


INJECTIONS = [
    f"{start}{attack}{end}"
    for start, attack, end in product(
        ("", "user_12345", "user_12345'", "'", "';", "')", '"', "\\'", "$1", "$$", "%27", "' /*"),
        (
            " OR 1=1",
            " OR '1'='1",
            "; DROP TABLE customers",
            "; DELETE FROM invoices",
            "; UPDATE customers SET plan = 'enterprise'",
            "; SET app.user_id = 'user_12345'",
            " UNION SELECT * FROM customers",
            " UNION ALL SELECT json_build_object('problems', '[]')",
            "; SELECT pg_sleep(10)",
            "; ALTER TABLE customers NO FORCE ROW LEVEL SECURITY",
            "; GRANT ALL ON ALL TABLES IN SCHEMA users TO PUBLIC",
            "; COPY customers TO PROGRAM 'id'",
            " AND (SELECT set_config('app.user_id', 'user_12345', true)) IS NOT NULL",
        ),
        ("", "--", ";", "/*"),
    )
]


async def test_injected_sql_finds_nothing_and_changes_nothing(database: UsersDatabase, pool: Pool) -> None:
    assert len(INJECTIONS) >= 500
    before = await database.snapshot()
    for payload in INJECTIONS:
        assert not await store.is_customer(pool, payload, payload)
        assert await store.read_account(pool, payload, payload) is None
        assert await store.read_everything(pool, payload, payload) is None
    assert await database.snapshot() == before


# What is answered


async def test_the_account_in_trouble_explains_why_its_calls_fail(users: Service, restate: RestateServer) -> None:
    account = (await ask(restate, IN_TROUBLE)).json()
    assert account["profile"]["user_id"] == IN_TROUBLE
    assert account["profile"]["status"] == "past_due"
    [calls] = [item for item in account["usage"] if item["metric"] == "api_calls_per_month"]
    assert calls["over_limit"]
    assert calls["limit"] == account["plan"]["limits"]["api_calls_per_month"] == 500_000
    assert account["invoices"][0]["status"] == "overdue"
    assert account["recent_errors"][0]["code"] == "usage_limit_reached"
    assert any("Over the plan's limit for API calls" in problem for problem in account["problems"])


async def test_the_email_address_is_masked(users: Service, restate: RestateServer) -> None:
    assert (await ask(restate, IN_TROUBLE)).json()["profile"]["email"] == "m***@northwind-parcels.example"


async def test_only_the_sections_asked_for_are_answered(users: Service, restate: RestateServer) -> None:
    account = (await ask(restate, FINE, sections=["plan", "usage"])).json()
    assert set(account) == {"problems", "plan", "usage"}
    assert account["plan"]["name"] == "Starter"


async def test_a_contract_replaces_the_limits_of_the_plan(users: Service, restate: RestateServer) -> None:
    account = (await ask(restate, BY_CONTRACT)).json()
    assert account["plan"]["monthly_price_usd"] is None
    assert account["plan"]["limits"]["api_calls_per_month"] == 40_000_000
    [members] = [item for item in account["usage"] if item["metric"] == "team_members"]
    assert (members["limit"], members["percent"], members["over_limit"]) == (None, None, False)


async def test_no_answer_holds_data_of_another_customer(users: Service, restate: RestateServer) -> None:
    everybody = demo_customers(NOW)
    mine = (await ask(restate, FINE)).text
    others = [rows["customers"][0] for user_id, rows in everybody.items() if user_id != FINE]
    assert not [other for other in others if other["user_id"] in mine or other["company"] in mine]


async def test_an_unknown_customer_is_refused_and_not_retried(users: Service, restate: RestateServer) -> None:
    reply = await ask(restate, "user_nobody")
    assert reply.status_code == 404
    assert reply.json()["metadata"] == {"code": "unknown_customer", "field": "user_id"}
    [row] = await restate.query(f"SELECT retry_count FROM sys_invocation WHERE id = '{reply.headers['x-restate-id']}'")
    assert not row.get("retry_count")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"user_id": 7}', 422),
        (b'{"user_id": ""}', 422),
        (b'{"user_id": "x\' OR 1=1 --"}', 422),
        (b'{"user_id": "user_10001\\u0000"}', 422),
        (b'{"user_id": "user_10001", "sections": ["passwords"]}', 422),
        (b'{"user_id": "user_10001", "sections": "plan"}', 422),
        (b'{"user_id": "user_10001", "sql": "SELECT 1"}', 422),
        (b'{"user_id": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
async def test_bad_input_is_refused(users: Service, restate: RestateServer, body: bytes, status: int) -> None:
    reply = await restate.call("UserDatabase", "query_user_database", body)
    assert reply.status_code == status, reply.text
    assert reply.json()["metadata"]["code"]


@pytest.mark.parametrize(("user_id", "known"), [(FINE, True), ("user_nobody", False)])
async def test_it_tells_whether_a_customer_exists(
    users: Service, restate: RestateServer, user_id: str, known: bool
) -> None:
    assert (await call(restate, "UserDatabase/is_customer", user_id)).json() == {"known": known}


async def test_a_lookup_that_is_cancelled_ends_while_the_database_is_away(
    users: Service, restate: RestateServer, postgres: PostgresServer
) -> None:
    told = {"user_id": FINE}
    sent = await restate.call("UserDatabase", "is_customer", told, headers=told_for("UserDatabase", FINE), send=True)
    await restate.wait_idle()  # the connection is there
    await postgres.stop("immediate")
    try:
        sent = await restate.call(
            "UserDatabase", "is_customer", told, headers=told_for("UserDatabase", FINE), send=True
        )
        invocation = sent.json()["invocationId"]
        query = f"SELECT id FROM sys_invocation WHERE id = '{invocation}' AND "
        await until(lambda: restate.query(query + "retry_count > 1"))
        await request("PATCH", f"{restate.admin_url}/invocations/{invocation}/cancel")
        await until(lambda: restate.query(query + "status = 'completed'"))
    finally:
        await postgres.start()


async def test_a_query_in_flight_outlives_a_crash_of_the_database(
    users: Service, restate: RestateServer, postgres: PostgresServer, database: UsersDatabase
) -> None:
    blocker = await asyncpg.connect(database.admin_url)
    await blocker.execute("BEGIN; LOCK TABLE users.customers")
    answer = asyncio.create_task(ask(restate, IN_TROUBLE))
    await until(lambda: database.fetch("SELECT FROM pg_locks WHERE NOT granted"))

    await postgres.stop("immediate")
    await until(lambda: restate.query("SELECT id FROM sys_invocation WHERE status = 'backing-off'"))
    await postgres.start()

    reply = await answer
    assert reply.status_code == 200, reply.text
    assert reply.json()["profile"]["user_id"] == IN_TROUBLE
    blocker.terminate()


async def test_an_export_outlives_a_crash_of_the_service(users: Service, restate: RestateServer) -> None:
    answer = asyncio.create_task(call(restate, "AccountExport/export_account", IN_TROUBLE))
    await until(lambda: restate.query("SELECT id FROM sys_journal WHERE entry_type LIKE '%Sleep%'"))
    await users.kill()
    await users.start()

    export = (await answer).json()
    stored = demo_customers(NOW)[IN_TROUBLE]
    assert export["records"].pop("refunds") >= 0
    assert export["records"] == {table: len(rows) for table, rows in stored.items()}
    assert export["size_bytes"] > 1000


@pytest.mark.parametrize("target", ["UserDatabase/query_user_database", "AccountExport/export_account"])
async def test_without_the_routers_binding_row_level_security_alone_keeps_callers_apart(
    users: Service, restate: RestateServer, target: str
) -> None:
    reply = await call(restate, target, IN_TROUBLE, caller=FINE)
    assert (reply.status_code, reply.json()["metadata"]["code"]) == (404, "unknown_customer")


async def test_an_export_for_an_unknown_customer_is_refused(users: Service, restate: RestateServer) -> None:
    reply = await call(restate, "AccountExport/export_account", "user_nobody")
    assert (reply.status_code, reply.json()["metadata"]["code"]) == (404, "unknown_customer")


async def test_the_model_is_offered_three_tools_that_are_bound_to_the_caller(
    users: Service, restate: RestateServer
) -> None:
    offered = {}
    for name in ("UserDatabase", "AccountExport", "InvoiceRefund"):
        for handler in (await request("GET", f"{restate.admin_url}/services/{name}")).json()["handlers"]:
            if handler.get("metadata", {}).get("mcp.type") == "tool":
                offered[handler["metadata"].get("tool.name", handler["name"])] = handler["metadata"]
    assert set(offered) == {"query_user_database", "export_account", "refund_invoice"}
    assert {metadata["tool.bind"] for metadata in offered.values()} == {"user_id=caller.user_id"}
    assert offered["query_user_database"]["tool.readonly"] == "true"
    assert offered["export_account"]["tool.mode"] == "send"
    assert offered["refund_invoice"]["tool.approval"] == "required"
    assert offered["refund_invoice"]["tool.compensate"] == "cancel_refund"


# Refunds


PRICE = "199.00"
LAST_PAID = invoice(IN_TROUBLE, 6)


@dataclass
class Refunding:
    """One call of the tool, by its key."""

    restate: RestateServer
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    async def make(self, invoice_id: str = LAST_PAID, user_id: str = IN_TROUBLE, **more: Any) -> HttpReply:
        return await self._call("run", {"user_id": user_id, "invoice_id": invoice_id, **more}, user_id)

    async def cancel(self, user_id: str = IN_TROUBLE) -> HttpReply:
        return await self._call("cancel_refund", {"user_id": user_id, "invoice_id": LAST_PAID}, user_id)

    async def _call(self, handler: str, body: dict[str, Any], user_id: str) -> HttpReply:
        told = told_for("InvoiceRefund", user_id)
        return await self.restate.call("InvoiceRefund", handler, body, key=self.key, headers=told)


def code(reply: HttpReply) -> str:
    return reply.json()["metadata"]["code"]


async def refunded(restate: RestateServer, invoice_id: str = LAST_PAID) -> float | None:
    """What the account tells of it."""
    account = (await ask(restate, IN_TROUBLE, sections=["invoices"])).json()
    return next(each.get("refunded") for each in account["invoices"] if each["invoice_id"] == invoice_id)


async def test_a_paid_invoice_is_refunded_once_and_told_with_the_account(
    users: Service, restate: RestateServer, database: UsersDatabase, pool: Pool
) -> None:
    assert await refunded(restate) is None
    first = Refunding(restate)
    made = await first.make(reason="It was a mistake.")
    assert made.status_code == 200, made.text
    told = made.json()
    assert told.pop("refund_id").startswith("RFD-")
    assert told == {"invoice_id": LAST_PAID, "amount": PRICE, "currency": "USD", "status": "made"}

    again = await refund_store.refund(pool, IN_TROUBLE, first.key, RefundInvoice(user_id=IN_TROUBLE, invoice_id="X"))
    assert again.model_dump() == made.json()
    assert code(await Refunding(restate).make()) == "already_refunded"
    assert await refunded(restate) == float(PRICE)
    await store.replace_customers(database.owner_url, demo_customers(NOW))
    assert await refunded(restate) == float(PRICE)

    assert (await first.cancel()).json()["status"] == "cancelled"
    assert (await first.cancel()).json() == told | {"refund_id": made.json()["refund_id"], "status": "cancelled"}
    assert await refunded(restate) is None
    second = Refunding(restate)
    part = await second.make(amount="0.5")
    assert (part.status_code, part.json()["amount"]) == (200, "0.50")
    assert (await second.cancel()).status_code == 200


@pytest.mark.parametrize(
    ("invoice_id", "amount", "status", "refusal"),
    [
        (invoice(IN_TROUBLE, 7), None, 422, "invoice_not_paid"),
        (invoice(BY_CONTRACT, 3), None, 404, "unknown_invoice"),
        ("INV-0-0", None, 404, "unknown_invoice"),
        (LAST_PAID, "199.01", 422, "amount_not_refundable"),
        (LAST_PAID, "0", 422, "amount_not_refundable"),
        (LAST_PAID, "0.00", 422, "amount_not_refundable"),
        (LAST_PAID, "-1", 422, "invalid_request"),
        (LAST_PAID, "1e2", 422, "invalid_request"),
        (LAST_PAID, "1.999", 422, "invalid_request"),
        (LAST_PAID, 199, 422, "invalid_request"),
        ("' OR 1=1 --", None, 422, "invalid_request"),
    ],
)
async def test_what_cannot_be_refunded_is_refused(
    users: Service, restate: RestateServer, invoice_id: str, amount: Any, status: int, refusal: str
) -> None:
    reply = await Refunding(restate).make(invoice_id, **({} if amount is None else {"amount": amount}))
    assert (reply.status_code, code(reply)) == (status, refusal), reply.text


async def test_a_refund_that_was_cancelled_before_it_was_made_never_is(users: Service, restate: RestateServer) -> None:
    never = Refunding(restate)
    assert (await never.cancel()).json() == {"status": "cancelled"} | dict.fromkeys(
        ("refund_id", "invoice_id", "amount", "currency")
    )
    assert code(await never.make()) == "refund_cancelled"
    assert await refunded(restate) is None


async def test_nobody_undoes_the_refund_of_another(users: Service, restate: RestateServer) -> None:
    mine = Refunding(restate)
    assert (await mine.make()).status_code == 200
    assert code(await mine.cancel(user_id=FINE)) == "key_taken"
    assert await refunded(restate) == float(PRICE)
    assert (await mine.cancel()).status_code == 200


async def test_of_many_refunds_and_cancellations_at_once_no_invoice_is_refunded_twice(
    database: UsersDatabase, pool: Pool
) -> None:
    wanted = RefundInvoice(user_id=IN_TROUBLE, invoice_id=LAST_PAID)
    keys = [uuid.uuid4().hex for _ in range(8)]

    async def tried(work: Awaitable[Any]) -> bool:
        try:
            await work
        except Refused:
            return False
        return True

    made = [tried(refund_store.refund(pool, IN_TROUBLE, key, wanted)) for key in keys for _ in range(3)]
    undone = [tried(refund_store.cancel(pool, IN_TROUBLE, key)) for key in keys[:4]]
    await asyncio.gather(*made, *undone)
    standing = "SELECT refund_key FROM refunds WHERE invoice_id = $1 AND status = 'refunded'"
    rows = [row[0] for row in await database.fetch(standing, LAST_PAID)]
    assert len(rows) <= 1
    assert not set(rows) & set(keys[:4])
    for key in keys:
        await refund_store.cancel(pool, IN_TROUBLE, key)


# What it tells of its work


@ONCE
async def test_its_sql_hangs_below_the_call_and_carries_no_values(
    database: UsersDatabase, restate: RestateServer, service: Callable[..., Awaitable[Service]]
) -> None:
    collector = Receiver()
    await collector.start()
    traced = await service("users", DATABASE_URL=database.app_url, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
    for name in await restate.register(traced.url):
        await request("PATCH", f"{restate.admin_url}/services/{name}", {"public": True})
    trace_id, call_span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    for flags in ("01", "00"):
        told = told_for("UserDatabase", IN_TROUBLE) | {"traceparent": f"00-{trace_id}-{call_span}-{flags}"}
        body = {"user_id": IN_TROUBLE}
        assert (await restate.call("UserDatabase", "query_user_database", body, headers=told)).status_code == 200

    def account(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
        return [span for span in spans if "json_build_object" in span.attributes["db.statement"]]

    [query] = await collector.wait_for(account)
    assert (query.trace_id, query.parent, query.name) == (trace_id, call_span, "WITH")
    assert {(span.trace_id, span.parent) for span in collector.spans} == {(trace_id, call_span)}
    assert IN_TROUBLE not in repr(collector.spans)
    await traced.stop()
    await collector.stop()
