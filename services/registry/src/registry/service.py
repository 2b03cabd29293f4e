"""The registry and its commands. Serving is four kinds of loop around Restate's admin API, and small web servers."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from aiohttp import web

from registry.accept import accept
from registry.accepted import Accepted
from registry.admin import Admin, AdminError
from registry.catalogue import Awaited, ServedCatalogue
from registry.commands import run_once
from registry.desk import ToolDesk
from registry.exporter import Exporter, Wanted
from registry.kept import store_at
from registry.policy import PolicyError, PolicyFile
from registry.prune import prune, remove
from registry.record import Record
from registry.registration.all_or_none import register_all
from registry.registration.registrar import Registrar
from registry.registration.restorer import Restorer
from registry.settings import AcceptSettings, PruneSettings, RegisterSettings, RegistrySettings, RemoveSettings
from registry.status import Status
from registry.stuck import StuckRuns
from registry.web import app
from runtime.defects import expect, tell
from runtime.telemetry.logs import configure_logs, get_logger, place_of
from runtime.telemetry.metrics import serve_metrics, watch_loop
from runtime.terminal import leave

SHUTDOWN_SECONDS = 0.5
RESTORE_SECONDS = 5

log = get_logger("registry")


def main() -> None:
    match sys.argv[1:]:
        case []:
            serve(RegistrySettings.read())
        case ["register"]:
            run_once("register", register_all, RegisterSettings.read())
        case ["prune"]:
            run_once("prune", prune, PruneSettings.read())
        case ["remove"]:
            run_once("remove", remove, RemoveSettings.read())
        case ["accept", *names] if names:
            run_once("accept", partial(accept, names=names), AcceptSettings.read())
        case _:
            sys.exit("usage: python -m registry [register | prune | remove | accept <tool>[=<digest>]...]")


def serve(settings: RegistrySettings) -> None:
    configure_logs("registry", settings.log_level)
    serve_metrics(settings, "registry")
    try:
        policy = PolicyFile(settings.policy_file, settings.reserved_tools, settings.switched_off)
    except PolicyError as error:
        leave(f"setting POLICY_FILE: {error}")
    asyncio.run(run(settings, policy))


async def run(settings: RegistrySettings, policy: PolicyFile) -> None:
    """Work until SIGTERM or SIGINT."""
    stop = _stop_on_signals()
    status = Status()
    async with Admin(settings.restate_admin_url, settings.admin_token) as admin:
        wanted = Wanted(settings.deployments, settings.wanted_deployments_file)
        awaited = Awaited(settings.await_services, settings.health_seconds)
        kept = store_at(settings, settings.accepted_configmap, settings.accepted_dir)
        accepted = Accepted(settings.accept_tools, kept)
        record = Record(store_at(settings, settings.record_configmap, settings.record_dir))
        served = ServedCatalogue(admin, policy, settings.reserved_tools, awaited, wanted.urls, accepted, record)
        stuck = StuckRuns(admin, status, settings.paused_grace_seconds, settings.run_deadline_seconds)
        exporter = Exporter(admin, wanted)
        registrar = Registrar(admin, settings.deployments, status, settings.end_former)
        restorer = Restorer(admin, wanted.urls, settings.deployments)

        async def refresh() -> None:
            """The first catalogue is a whole one, so that no question is answered with half of the tools."""
            if served.catalogue or registrar.all_had_their_chance:
                await served.refresh()
            if served.catalogue:
                status.tools = len(served.catalogue.tools)
                status.withdrawn = {each.tool: each.reason for each in served.catalogue.left_out if each.withdrawn}
                exporter.tell_tools(served.catalogue)

        runners = [await _serve(settings, app(served, status, admin), "port")]
        if settings.desk_port:
            runners.append(await _serve(settings, ToolDesk(served, record, settings).application(), "desk_port"))
        async with asyncio.TaskGroup() as group:
            loops = [
                group.create_task(repeat("catalogue", refresh, settings.catalogue_poll_seconds, registrar.changed)),
                group.create_task(repeat("stuck runs", stuck.end, settings.stuck_poll_seconds)),
                group.create_task(repeat("restoring", restorer.restore, RESTORE_SECONDS)),
                group.create_task(watch_loop()),
                *(
                    group.create_task(
                        repeat("registration", partial(registrar.keep_registered, name, settings.health_seconds), 1)
                    )
                    for name in settings.deployments
                ),
            ]
            if settings.metrics_port:
                loops.append(group.create_task(repeat("metrics", exporter.poll, settings.metrics_poll_seconds)))
            await stop.wait()
            for loop in loops:
                loop.cancel()
        for runner in runners:
            await runner.cleanup()


async def repeat(
    what: str, step: Callable[[], Awaitable[None]], seconds: float, wake: asyncio.Event | None = None
) -> None:
    """Do it again and again, at once when woken. That Restate is away is logged once, and so is its return.

    A defect in one loop ends neither it nor the others: much of what they do would be missed.
    """
    fault: str | None = None
    defect = ""
    expect("registry", what)
    wake = wake or asyncio.Event()
    while True:
        wake.clear()
        try:
            await step()
            if fault is not None:
                log.info("restate_answers_again", extra={"loop": what})
            fault = None
        except AdminError as error:
            if str(error) != fault:
                log.warning("restate_does_not_answer", extra={"loop": what, "reason": str(error)})
            fault = str(error)
        except Exception as error:  # noqa: BLE001 - told, and then the loop goes on
            tell("registry", what, error, first=place_of(error) != defect)
            defect = place_of(error)
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), seconds)


async def _serve(settings: RegistrySettings, application: web.Application, setting: str) -> web.AppRunner:
    port: int = getattr(settings, setting)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, port).start()
    except OSError as error:
        leave(f"setting {setting.upper()}: cannot listen on {settings.host}:{port}: {error.strerror}")
    log.info("serving", extra={"port": port})
    return runner


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    return stop
