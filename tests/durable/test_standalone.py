"""`make run`: a routed answer with one command, and everything comes back whatever is killed."""

import asyncio
import json
import re
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from standalone.ports import free_port
from standalone.prometheus import is_installed
from standalone.revision import source_of
from tests.conftest import ALWAYS_REPLAY, ONCE
from tests.parts.board import until
from tests.parts.restate import request
from tests.parts.standalone import READY, Standalone

REPLAY = {"RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT": "0s"} if ALWAYS_REPLAY else {}
PARTS = {
    "restate",
    "postgres",
    "demo_model",
    "users",
    "tickets",
    "conversations",
    "router",
    "registry",
    "gateway",
    "console",
}
if is_installed():
    PARTS.add("prometheus")


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Standalone]:
    machine = Standalone(tmp_path / "data", **REPLAY)
    yield machine
    await machine.clean_up()


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Standalone]:
    """With a proxy that nothing on this machine may ask for what is on this machine."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    machine = Standalone(tmp_path_factory.mktemp("running") / "data", HTTP_PROXY=nowhere, http_proxy=nowhere, **REPLAY)
    await machine.start()
    yield machine
    await machine.clean_up()


async def test_one_command_answers_the_default_question_and_ctrl_c_leaves_nothing(machine: Standalone) -> None:
    await machine.start()

    gateway = f"http://127.0.0.1:{machine.ports['GATEWAY_PORT']}"
    assert f"  Switchboard  {gateway}, its API at {gateway}/docs" in machine.screen
    desk = f"http://127.0.0.1:{machine.ports['CONSOLE_PORT']}"
    assert f"  desk         {desk}: for staff" in machine.screen
    believed = {"message": "What is my plan?", "user_id": "user_12345"}
    assert (await machine.ingress("/restate/call/ToolRouter/route", believed)).status_code == 401
    for shown in ("model turn 1", "tool query_user_database", "tool check_service_status", "answered in"):
        assert shown in machine.screen
    assert machine.children().keys() == PARTS

    code, seconds = await machine.interrupt()

    assert code == 0, machine.screen
    assert seconds < 30
    assert machine.children() == {}
    assert "Traceback" not in machine.screen

    await machine.start(until="answered in")


async def test_make_ask_and_make_tickets_use_what_runs(running: Standalone) -> None:
    asked = running.run_command("ask", "I need to report a bug with the dashboard, please create a ticket")
    listed = running.run_command("tickets", "list")

    assert asked.returncode == 0, asked.stderr
    assert "tool create_support_ticket" in asked.stdout
    assert "tickets: TCK-000001" in asked.stdout
    assert "TCK-000001" in listed.stdout, listed.stderr

    assigned = running.run_command("tickets", "assign", "TCK-000001", "ben", "--as", "anna")
    shown = running.run_command("tickets", "show", "TCK-000001")

    assert "as anna, with a staff token that this command made itself" in assigned.stdout
    assert "TCK-000001 is assigned to ben" in assigned.stdout, assigned.stderr
    assert "anna  assign  to ben" in shown.stdout


async def test_make_chat_answers_each_line_and_tells_the_steps(running: Standalone) -> None:
    said = running.run_command(
        "chat",
        typed="Is there an outage affecting the payment service?\nWhat's my current subscription plan and limits?\n",
    )

    assert said.returncode == 0, said.stderr
    assert "· check service status: done" in said.stdout
    assert said.stdout.index("check service status") < said.stdout.index("query user database")


async def test_who_wants_a_human_waits_for_one_who_takes_speaks_and_gives_back(running: Standalone) -> None:
    said = running.run_command("chat", typed="I want to talk to a human, please, about what I was charged\n")
    assert "· hand over to person: done" in said.stdout, said.stdout
    key = re.search(r"conv_[0-9a-f]{32}", said.stdout)
    assert key, said.stdout

    listed = running.run_command("conversations")
    assert f"{key[0]}  user_12345  nobody yet" in listed.stdout, listed.stderr
    assert running.run_command("conversations", "say", key[0], "Hello", "--as", "anna").returncode == 1
    for words in (["take"], ["say"], ["return"]):
        more = ["Hello, this is Anna."] if words == ["say"] else []
        done = running.run_command("conversations", *words, key[0], *more, "--as", "anna")
        assert done.returncode == 0, done.stderr
    shown = running.run_command("conversations", "show", key[0]).stdout
    assert shown.index("waits for a person") < shown.index("now speaks: anna") < shown.index("this is Anna")
    assert shown.rstrip().endswith("now speaks: agent")


async def test_a_refund_waits_for_a_persons_yes_and_its_customer_reads_what_became_of_it(running: Standalone) -> None:
    said = running.run_command("chat", typed="Can you refund invoice INV-12345-006?\n")
    assert "· refund invoice: waiting for a person's approval" in said.stdout, said.stdout
    assert "A person of our staff has to approve “refund invoice” first." in said.stdout
    conversation = re.search(r"conv_[0-9a-f]{32}", said.stdout)
    waiting = running.run_command("approvals")
    key = re.search(r"appr_[0-9a-f]{32}", waiting.stdout)
    assert key, waiting.stdout + waiting.stderr
    assert conversation, said.stdout

    shown = running.run_command("approvals", "show", key[0])
    assert 'invoice_id: "INV-12345-006"' in shown.stdout, shown.stderr
    done = running.run_command("approvals", "approve", key[0], "--reason", "it was a mistake of ours", "--as", "anna")
    shown_again, decided = done.stdout.splitlines()
    assert shown_again.startswith("refund_invoice for user_12345: "), done.stderr
    assert decided.startswith("approved by anna"), done.stderr

    async def told() -> bool:
        text = running.run_command("transcript", conversation[0]).stdout
        return "A person has approved “refund invoice”, and it was done." in text

    await until(told)
    assert "no call waits for a person" in running.run_command("approvals").stdout


async def test_a_machine_comes_in_by_a_key_until_it_is_revoked(running: Standalone) -> None:
    made = running.run_command("api-key", "make", "--user-header", "X-User", "backend")
    assert made.returncode == 0, made.stderr
    me = f"http://127.0.0.1:{running.ports['GATEWAY_PORT']}/api/v1/me"
    headers = {"Authorization": f"Bearer {made.stdout.strip()}", "X-User": "user_67890"}
    assert (await request("GET", me, headers=headers)).json()["user_id"] == "user_67890"
    key_id = made.stdout.split("_")[1]
    assert f"{key_id}  good" in running.run_command("api-key").stdout
    assert running.run_command("api-key", "revoke", key_id).returncode == 0
    assert f"{key_id}  revoked" in running.run_command("api-key").stdout


async def test_ctrl_c_stops_what_a_chat_has_begun_and_the_next_one_ends_it(running: Standalone) -> None:
    latency = f"http://127.0.0.1:{running.ports['DEMO_MODEL_PORT']}/admin/latency"
    await request("POST", latency, {"seconds": 20})
    try:
        chat = await running.begin_command("chat")
        assert chat.stdin is not None
        assert chat.stdout is not None
        await chat.stdout.readline()
        chat.stdin.write(b"Is there an outage affecting the payment service?\n")
        await asyncio.sleep(1.5)
        chat.send_signal(signal.SIGINT)
        assert (await asyncio.wait_for(chat.stdout.readline(), 15)).strip() == b"stopped"
        await asyncio.sleep(1)
        assert chat.returncode is None
        chat.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(chat.wait(), 15) == 0
    finally:
        await request("POST", latency, {"seconds": 0})


@ONCE
async def test_after_a_change_of_code_runs_of_the_former_code_are_ended_and_counted(tmp_path: Path) -> None:
    copy = tmp_path / "src" / "router"
    shutil.copytree(source_of("router"), copy)
    machine = Standalone(tmp_path / "data", LATENCY_SECONDS="2", PYTHONPATH=str(copy.parent), TRUST_USER_ID="true")
    try:
        await machine.start()
        question = {"message": "Is there an outage affecting the payment service?", "user_id": "user_12345"}
        sent = await machine.ingress("/restate/send/ToolRouter/route", question)
        _, seconds = await machine.interrupt()
        assert seconds < 30, "with a run in flight"
        with (copy / "agent.py").open("a") as code:
            code.write("# changed\n")

        await machine.start()

        assert "runs of the former code that were ended: 1" in machine.screen
        assert (await machine.attach(sent.json()["invocationId"])).status_code == 409
    finally:
        await machine.clean_up()


async def test_a_second_start_in_the_same_folder_is_refused(running: Standalone) -> None:
    done = Standalone(running.data_dir).run_command("run")

    assert done.returncode == 1
    assert "set DATA_DIR" in done.stderr


async def test_every_killed_part_is_started_again(running: Standalone) -> None:
    for name, process in running.children().items():
        process.kill()
        await running.shows(f"{name} ended (SIGKILL); starting it again")

    question = {"message": "What's my current subscription plan and usage limits?"}
    reply = await _ask_until_answered(running, question)

    assert reply["outcome"] == "answered"
    await running.has(PARTS)


async def test_work_in_flight_is_finished_after_the_supervisor_was_killed(tmp_path: Path) -> None:
    machine = Standalone(tmp_path / "data", LATENCY_SECONDS="1", TRUST_USER_ID="true", **REPLAY)
    try:
        await machine.start()
        question = {"message": "Is there an outage affecting the payment service?", "user_id": "user_12345"}
        sent = await machine.ingress("/restate/send/ToolRouter/route", question, **{"Idempotency-Key": "in-flight"})
        await machine.kill()
        assert machine.children().keys() == PARTS

        await machine.start()

        assert "that an earlier start had left behind" in machine.screen
        reply = await machine.attach(sent.json()["invocationId"])
        assert reply.json()["outcome"] == "answered"
        code, _ = await machine.interrupt()
        assert code == 0
    finally:
        await machine.clean_up()


@ONCE
async def test_a_taken_port_is_one_line_that_names_the_setting(machine: Standalone) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", machine.ports["USERS_PORT"])
    async with server:
        done = await asyncio.to_thread(machine.run_command, "run")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "set USERS_PORT to another port" in done.stderr


@ONCE
async def test_a_missing_tool_is_one_line_that_names_the_remedy(tmp_path: Path) -> None:
    machine = Standalone(tmp_path / "data", TOOLS_DIR=str(tmp_path))

    done = await asyncio.to_thread(machine.run_command, "run")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "run `make install`" in done.stderr


@ONCE
async def test_an_unreachable_database_is_one_line_that_names_the_setting(tmp_path: Path) -> None:
    url = f"postgresql://someone:secret@127.0.0.1:{free_port()}/postgres"
    machine = Standalone(tmp_path / "data", DATABASE_URL=url)

    done = await asyncio.to_thread(machine.run_command, "run")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "setting DATABASE_URL" in done.stderr
    assert "secret" not in done.stderr
    assert machine.children() == {}


@ONCE
@pytest.mark.parametrize("refuses", ["/v1/models", "/v1/chat/completions"])
async def test_a_refused_key_is_one_line_that_names_the_setting(tmp_path: Path, refuses: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        status = 401 if request.path == refuses else 404
        return web.Response(status=status, text=json.dumps({"error": {"message": "bad key"}}))

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as endpoint:
        base_url = str(endpoint.make_url("/v1"))
        machine = Standalone(tmp_path / "data", OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-wrong")
        done = await asyncio.to_thread(machine.run_command, "run")

    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "setting OPENAI_API_KEY" in done.stderr
    assert "sk-wrong" not in done.stderr + done.stdout
    assert READY not in done.stdout
    assert machine.children() == {}


@ONCE
async def test_a_server_that_loads_and_then_drops_tools_is_waited_for_and_told(tmp_path: Path) -> None:
    """Its key goes where Azure wants it."""
    loading, keys = [503], list[str]()

    async def models(request: web.Request) -> web.Response:
        keys.append(request.headers["api-key"])
        return web.json_response({"data": []}, status=loading.pop() if loading else 200)

    async def chat(_: web.Request) -> web.Response:
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 229, "completion_tokens": 1}})

    app = web.Application()
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", chat)
    async with TestServer(app) as endpoint:
        told = {"OPENAI_BASE_URL": str(endpoint.make_url("/v1")), "OPENAI_API_KEY": "k", "OPENAI_PRESET": "azure"}
        machine = Standalone(tmp_path / "data", **told)
        try:
            await machine.start()
            screen = machine.screen
        finally:
            await machine.clean_up()
    assert keys == ["k", "k"]
    assert "it answers 503, as if it loads its model" in screen
    assert "drops tools, or cuts the prompt: it read 229 tokens" in screen
    assert screen.index("drops tools") < screen.index("asks: ") < screen.index("answered in")


async def _ask_until_answered(machine: Standalone, question: dict[str, str]) -> dict[str, object]:
    """With the same key, as a client should while parts are still coming back."""
    deadline = time.monotonic() + 60
    while True:
        try:
            reply = await machine.gateway("POST", "/api/v1/questions", question, **{"Idempotency-Key": "retried"})
            if reply.status_code == 200:
                return reply.json()
            assert reply.json()["retryable"], reply.text
        except (OSError, aiohttp.ClientError):
            pass
        assert time.monotonic() < deadline
        await asyncio.sleep(0.2)
