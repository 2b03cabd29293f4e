"""`make run`: everything on this machine, one question, then up until Ctrl-C."""

import asyncio
import fcntl
import signal
import time
from collections.abc import AsyncGenerator, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

from registry.status import Status
from standalone import services
from standalone.ask import NoAnswer, ask_and_show
from standalone.database import Database, administrator, read_passwords
from standalone.model import check_model, check_port, follow_check
from standalone.ports import is_free, who_listens
from standalone.postgres import SUPERUSER, Postgres
from standalone.process import Process, Program, StartError, end_leftovers, is_full
from standalone.prometheus import is_installed
from standalone.settings import StandaloneSettings
from standalone.status_page import serve_status_page
from standalone.supervisor import Supervisor
from standalone.terminal import Progress, complain, say

END_SECONDS = 4.6
REGISTRATION_SECONDS = 60


async def run(settings: StandaloneSettings) -> int:
    """Returns the exit code: 0 after Ctrl-C, 1 when something cannot run."""
    stop = _stop_on_signals()
    try:
        with _alone_in(settings.data_dir):
            await _clear_the_way(settings)
            async with _machine(settings) as machine:
                await _first_of(machine.start_and_show(), machine.supervisor.broken, stop.wait())
                await _first_of(machine.supervisor.broken, stop.wait())
                say("\nending ...", "dim")
    except StartError as error:
        complain(str(error))
        return 1
    except OSError as error:
        if not is_full(error):
            raise
        complain(f"the disk is full: {error.filename or settings.data_dir}: {error.strerror}")
        return 1
    return 0


class Machine:
    """The parts of one machine while they run."""

    def __init__(self, settings: StandaloneSettings) -> None:
        self._settings = settings
        self._progress = Progress()
        self._passwords = read_passwords(settings.data_dir)
        self.supervisor = Supervisor(self._progress.note)

    async def start_and_show(self) -> None:
        await self._start()
        await self._answer_first_question()
        self._say_where_to_go_on(self._start_prometheus())

    async def _start(self) -> None:
        settings = self._settings
        say("anybody may be any demo customer here: keep this machine's ports to yourself", "yellow")
        await _together(
            self._start_model(),
            self._start_restate(),
            self._start_database_and_its_services(),
            self._keep(services.registry(settings)),
            self._keep(services.gateway(settings)),
            self._keep(services.console(settings)),
        )
        status = await self._wait_registered()
        self._progress.done(f"{', '.join(services.REGISTERED)} registered, {status.tools} remote tools on offer")
        if ended := status.ended_former:
            self._progress.note(f"the code has changed; runs of the former code that were ended: {ended}")
        if settings.real_model and settings.openai_check_at_start:
            await follow_check(settings.data_dir, self._progress.note)

    async def _start_model(self) -> None:
        if self._settings.real_model:
            await check_model(self._settings, self._progress.note)
            self._progress.done("the model's endpoint answers")
        else:
            await self._keep(services.demo_model(self._settings))

    async def _start_restate(self) -> None:
        restate = services.restate(self._settings)
        await self.supervisor.keep(restate.process)
        self._progress.done(f"restate-server at {restate.ingress_url}, its UI at {restate.admin_url}")

    async def _start_database_and_its_services(self) -> None:
        if self._settings.database_url:
            self._progress.note("using the PostgreSQL that DATABASE_URL names")
        else:
            await self._start_postgres()
        settings, passwords = self._settings, self._passwords
        database = Database(administrator(settings, passwords), passwords, settings.database_role_prefix)
        await database.prepare()
        self._progress.done("database migrated, demo customers in it")
        made = (services.users, services.tickets, services.conversations, services.router)
        programs = [make(self._settings, database) for make in made]
        await _together(*(self._keep(program) for program in programs))

    async def _start_postgres(self) -> None:
        postgres = Postgres(self._settings.data_dir, self._settings.postgres_port, self._passwords[SUPERUSER])
        await self.supervisor.keep(postgres.process, postgres.prepare)
        self._progress.done(f"PostgreSQL at 127.0.0.1:{postgres.port}")

    def _start_prometheus(self) -> str:
        """Where it is, or why it is nowhere. After the first answer, so that it delays none; nothing needs it."""
        port = self._settings.prometheus_port
        if not port:
            return "not started (PROMETHEUS_PORT=0)"
        if not is_installed():
            return "none: install your system's package `prometheus` to keep the metrics and see the alerts"
        if not is_free(port):
            return f"not started: port {port} is taken, set PROMETHEUS_PORT to another"
        prometheus = services.prometheus(self._settings)
        self.supervisor.keep_if_possible(prometheus.process, prometheus.prepare)
        return prometheus.url

    async def _keep(self, program: Program) -> None:
        await self.supervisor.keep(Process(program, self._settings.data_dir))
        self._progress.done(program.name)

    async def _wait_registered(self) -> Status:
        """The registry registers by itself; it says how far it is."""
        deadline = time.monotonic() + REGISTRATION_SECONDS
        status = Status()
        while time.monotonic() < deadline:
            status = await self._registry_status()
            if status.registered.keys() >= set(services.REGISTERED) and status.tools:
                return status
            await asyncio.sleep(0.05)
        failed = "; ".join(f"{name}: {reason}" for name, reason in status.failed.items())
        raise StartError(f"not registered after {REGISTRATION_SECONDS} s: {failed or 'no tools found'}")

    async def _registry_status(self) -> Status:
        """Empty while the registry is being started again."""
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{self._settings.registry_port}/status") as reply,
            ):
                return Status.model_validate_json(await reply.read())
        except aiohttp.ClientError:
            return Status()

    async def _answer_first_question(self) -> None:
        settings = self._settings
        say()
        try:
            await ask_and_show(settings, settings.question, settings.user_id)
        except NoAnswer as error:
            raise StartError(str(error)) from None

    def _say_where_to_go_on(self, prometheus: str) -> None:
        settings = self._settings
        body = '{"message": "Is there an outage affecting the payment service?"}'
        say("\nWhere to go on", "bold")
        say(f"  Switchboard  {settings.gateway_url}, its API at {settings.gateway_url}/docs", "bold")
        say(f"  desk         {settings.console_url}: for staff; anybody may be one of them here", "bold")
        say(f"  Restate UI   {settings.admin_url}")
        say(f"  Prometheus   {prometheus}", "" if prometheus.startswith("http") else "dim")
        if settings.otel_exporter_otlp_endpoint:
            say(f"  traces       go to {settings.otel_exporter_otlp_endpoint}")
        say(f"  logs         {settings.data_dir / 'logs'}")
        say('  ask          make ask Q="What\'s my current subscription plan and usage limits?"')
        say("  chat         make chat")
        say("  tickets      make tickets")
        say(
            f"  curl         curl {settings.gateway_url}/api/v1/questions -H 'Authorization: Bearer demo-user_12345' \\"
        )
        say('                 -H "Idempotency-Key: $(uuidgen 2>/dev/null || date +%s%N)" \\')
        say(f"                 -H 'Content-Type: application/json' -d '{body}'")
        say("Ctrl-C ends it; what is then in flight is finished by the next `make run`.", "dim")


@asynccontextmanager
async def _machine(settings: StandaloneSettings) -> AsyncGenerator[Machine]:
    machine = Machine(settings)
    async with serve_status_page(settings.status_port):
        try:
            yield machine
        finally:
            await machine.supervisor.end(services.END_ORDER, END_SECONDS)


@contextmanager
def _alone_in(data_dir: Path) -> Generator[None]:
    """Two supervisors in one folder would fight over it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (data_dir / "lock").open("w")
    except OSError as error:
        raise StartError(f"setting DATA_DIR: {data_dir} cannot be used: {error.strerror}") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"another `make run` uses {data_dir}: end it, or set DATA_DIR") from None
        yield


async def _clear_the_way(settings: StandaloneSettings) -> None:
    """What a killed supervisor left is ended; what belongs to others is respected."""
    if ended := await asyncio.to_thread(end_leftovers, settings.data_dir):
        say(f"ended {ended} processes that an earlier start had left behind", "dim")
    check_port(settings)
    ports = settings.ports()
    for name, port in ports.items():
        if list(ports.values()).count(port) > 1:
            raise StartError(f"setting {name}: port {port} is named twice")
        if name != "PROMETHEUS_PORT" and not is_free(port):
            raise StartError(f"port {port} is taken{_by(who_listens(port))}, or set {name} to another port")
    for log in (settings.data_dir / "logs").glob("*.log"):
        log.replace(log.with_suffix(".log.before"))


def _by(program: str) -> str:
    return f" by {program}: end it" if program else ": end the program that uses it"


async def _together(*works: Coroutine[Any, Any, None]) -> None:
    """Waits for all; when one fails none of the others goes on, so that nothing is started after the end."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _first_of(*works: Coroutine[Any, Any, Any] | asyncio.Future[Any]) -> None:
    """Waits until one has ended, cancels the other coroutines, and raises what the ended one raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending & {task for task, work in zip(tasks, works, strict=True) if task is not work}:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    for task in done:
        task.result()


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    return stop
