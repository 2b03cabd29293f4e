"""Keys of machines: shown once, kept as a digest, good for what they may, and gone when they are revoked."""

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import openai
import pytest

from tests.parts.board import text, until
from tests.parts.gateway import OTHER, STAFF_KEY, Gate, start_gate
from tests.parts.postgres import PostgresServer
from tests.parts.restate import HttpReply, RestateServer, request
from tests.parts.service import Service

HEADER = "X-OpenWebUI-User-Id"


@pytest.fixture(scope="module")
async def gate(
    own_restate: RestateServer, service: Callable[..., Awaitable[Service]], postgres: PostgresServer
) -> Gate:
    return await start_gate(own_restate, service, postgres, "api_keys", API_KEY_SECONDS="1")


def command(gate: Gate, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "conversations", "api-key", *words],
        env={**os.environ, "DATABASE_URL": gate.database.app},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def make(gate: Gate, *words: str) -> str:
    done = await asyncio.to_thread(command, gate, "make", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def knock(gate: Gate, key: str, method: str = "GET", path: str = "/api/v1/me", **more: Any) -> HttpReply:
    """A request with a key; `user` names one in the header of the chat UI."""
    user = more.pop("user", None)
    told = {"Authorization": f"Bearer {key}"} | ({HEADER: user} if user is not None else {})
    return await gate.ask(method, path, more.pop("body", None), headers=told | more.pop("headers", {}), **more)


async def test_a_key_is_shown_once_and_kept_as_a_digest(gate: Gate) -> None:
    done = await asyncio.to_thread(command, gate, "make", "shown", "--user-header", HEADER)
    key = done.stdout.strip()
    assert "shown once" in done.stderr
    assert key not in done.stderr
    (row,) = await gate.database.rows("SELECT * FROM api_keys WHERE name = 'shown'")
    assert row["digest"] == hashlib.sha256(key.encode()).digest()
    assert row["scopes"] == ["ask", "act-for-users"]
    assert key.split("_")[2] not in str(row)
    listed = (await asyncio.to_thread(command, gate, "list")).stdout
    assert row["key_id"] in listed
    assert key not in listed


async def test_a_key_that_acts_for_users_is_whom_it_names(gate: Gate) -> None:
    key = await make(gate, "webui", "--user-header", HEADER)
    assert (await knock(gate, key, user="user_67890")).json() == {
        "user_id": "user_67890",
        "name": "",
        "roles": [],
        "demo": True,
    }
    message = await gate.board.script(text("Hello."))
    asked = await knock(gate, key, "POST", "/api/v1/questions", user="user_67890", body={"message": message})
    assert asked.json()["text"] == "Hello."
    mine = await knock(gate, key, "GET", f"/api/v1/questions/{asked.json()['id']}", user="user_67890")
    theirs = await knock(gate, key, "GET", f"/api/v1/questions/{asked.json()['id']}", user="somebody")
    assert (mine.status_code, theirs.status_code) == (200, 404)


async def test_a_key_that_acts_for_users_asks_nothing_without_one(gate: Gate) -> None:
    key = await make(gate, "unnamed", "--user-header", HEADER)
    for method, path, body in (("GET", "/api/v1/me", None), ("POST", "/api/v1/questions", {"message": "hi"})):
        refused = await knock(gate, key, method, path, body=body)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:switchboard:problem:forbidden")
        assert HEADER in refused.json()["detail"]
    async with openai.AsyncOpenAI(base_url=f"{gate.service.address}/v1", api_key=key) as client:
        assert [each.id for each in (await client.models.list()).data] == ["switchboard"]


@pytest.mark.parametrize("user", ["", " ", "a b", "x" * 65, "../x", "ü", "machine.other", "a,b"])
async def test_a_user_that_can_be_none_is_refused(gate: Gate, user: str) -> None:
    key = await made_once(gate, "odd", "--user-header", HEADER)
    assert (await knock(gate, key, user=user)).status_code == 403


_made: dict[str, str] = {}


async def made_once(gate: Gate, name: str, *words: str) -> str:
    if name not in _made:
        _made[name] = await make(gate, name, *words)
    return _made[name]


async def test_a_key_that_may_name_nobody_is_a_caller_of_its_own_and_is_refused_with_a_name(gate: Gate) -> None:
    key, other = await make(gate, "backend"), await make(gate, "another")
    assert (await knock(gate, key)).json()["user_id"] == "machine.backend"
    assert (await knock(gate, key, user=OTHER)).status_code == 403
    assert (await knock(gate, key, headers={"X-LibreChat-User-Id": OTHER})).status_code == 403
    opened = await knock(gate, key, "POST", "/api/v1/conversations", body={})
    path = f"/api/v1/conversations/{opened.json()['id']}"
    assert [(await knock(gate, each, "GET", path)).status_code for each in (key, other)] == [200, 404]
    newer = await make(gate, "backend")
    assert (await knock(gate, newer, "GET", path)).status_code == 200, "a key that takes its place is the same caller"


async def test_a_prefix_keeps_a_chat_ui_from_everybody_elses_users(gate: Gate) -> None:
    key = await make(gate, "fenced", "--user-header", HEADER, "--prefix", "webui")
    assert (await knock(gate, key, user=OTHER)).json()["user_id"] == f"webui.{OTHER}"


async def test_a_key_that_may_only_read_changes_nothing(gate: Gate) -> None:
    key = await make(gate, "reader", "--reads-only")
    assert (await knock(gate, key, "GET", "/api/v1/conversations")).status_code == 200
    for method, path, body in (
        ("POST", "/api/v1/questions", {"message": "hi"}),
        ("POST", "/api/v1/conversations", {}),
        ("DELETE", f"/api/v1/conversations/conv_{'0' * 32}", None),
        ("POST", "/v1/chat/completions", {"model": "switchboard", "messages": [{"role": "user", "content": "hi"}]}),
    ):
        assert (await knock(gate, key, method, path, body=body)).status_code == 403, path


async def test_a_revoked_key_opens_nothing_within_seconds(gate: Gate) -> None:
    key = await make(gate, "revoked")
    assert (await knock(gate, key)).status_code == 200
    key_id = key.split("_")[1]
    assert (await asyncio.to_thread(command, gate, "revoke", key_id)).returncode == 0

    async def refused() -> bool:
        return (await knock(gate, key)).status_code == 401

    await until(refused, seconds=15)
    assert "revoked" in (await asyncio.to_thread(command, gate, "list")).stdout
    assert (await asyncio.to_thread(command, gate, "revoke", "nobody")).returncode == 1


async def test_an_expired_key_opens_nothing_and_its_stream_ends(gate: Gate) -> None:
    key = await make(gate, "short", "--days", str(6 / 86_400))
    opened = await knock(gate, key, "POST", "/api/v1/conversations", body={})
    watched = await knock(gate, key, "GET", f"/api/v1/conversations/{opened.json()['id']}/events", seconds=20)
    assert '"renew"' in watched.text
    assert (await knock(gate, key)).status_code == 401
    other = await make(gate, "gone", "--days", str(0.001 / 86_400))
    assert (await knock(gate, other)).status_code == 401


async def test_when_a_key_was_used_last_is_known(gate: Gate) -> None:
    key = await make(gate, "used")
    asked = "SELECT used_at FROM api_keys WHERE name = 'used'"
    assert (await gate.database.rows(asked))[0]["used_at"] is None
    await knock(gate, key)
    assert (await gate.database.rows(asked))[0]["used_at"] is not None


@pytest.mark.parametrize(
    "key", ["sb_", "sb_x", "sb_0123456789ab_", "sb_0123456789ab_" + "A" * 43, "sb_0123456789AB_" + "A" * 43]
)
async def test_nobody_comes_in_by_a_key_that_is_none(gate: Gate, key: str) -> None:
    refused = await knock(gate, key, user=OTHER)
    assert (refused.status_code, refused.json()["type"]) == (401, "urn:switchboard:problem:token_invalid")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("Bad Name",), "NAME"),
        (("",), "NAME"),
        (("x", "--user-header", "Authorization"), "USER_HEADER"),
        (("x", "--user-header", "a b"), "USER_HEADER"),
        (("x", "--prefix", "p"), "--prefix"),
        (("x", "--user-header", HEADER, "--prefix", "a.b"), "--prefix"),
        (("x", "--days", "0"), "--days"),
        (("x", "--days", "1e9"), "--days"),
        (("x", "--days", "nan"), "--days"),
    ],
)
async def test_a_key_that_cannot_be_is_not_made(gate: Gate, words: tuple[str, ...], told: str) -> None:
    done = await asyncio.to_thread(command, gate, "make", *words)
    assert done.returncode != 0
    assert done.stderr.startswith(told)
    assert done.stdout == ""


async def test_only_the_gateway_asks_about_keys(gate: Gate) -> None:
    url, asked = f"{gate.env['CONVERSATIONS_URL']}/api-keys", {"digest": "0" * 64}
    for token in ("", "x", STAFF_KEY):
        reply = await request("POST", url, asked, {"Authorization": f"Bearer {token}"})
        assert reply.status_code == 401


async def test_a_key_that_was_good_is_believed_while_nobody_can_be_asked(gate: Gate) -> None:
    key = await make(gate, "kept")
    assert (await knock(gate, key)).status_code == 200
    unseen = await make(gate, "unseen")
    room = gate.rooms["conversations"]
    await room.kill()
    try:
        await asyncio.sleep(1.2)  # what is known of a key is asked again
        assert (await knock(gate, key)).status_code == 200
        assert (await knock(gate, unseen)).status_code == 503
    finally:
        await room.start()
        await room.wait_ready()
