"""The agent, put together and served."""

from contextlib import AbstractAsyncContextManager

import aiohttp

from router.agent import Agent, tool_router
from router.apart import calls_apart
from router.approval.workflow import approved_call
from router.begin import CallerChecks
from router.catalogue import Offers, polling
from router.check import checking
from router.customers import Customers
from router.inbox import Inbox, open_inbox
from router.model import Model
from router.prompt import read_prompt
from router.seen.approvals import ApprovalSpans
from router.seen.spans import RunSpans
from router.settings import RouterSettings
from router.tasks import CHECK_TASK, tasks
from router.told import Told
from router.tools.articles import ArticleIndex
from router.tools.local import local_tools
from router.tools.status import StatusPage
from router.unattended import ticket_for_people
from router.undo import router_undo
from runtime.acceptance import Acceptance
from runtime.call_tokens import CallSigner
from runtime.clock import watching_clock
from runtime.serving import run as run_service
from runtime.serving import serve
from runtime.telemetry.export import configure_tracing
from runtime.telemetry.logs import configure_logs, get_logger
from runtime.telemetry.metrics import serve_metrics


async def run(settings: RouterSettings) -> None:
    if settings.trust_user_id:
        get_logger("router").warning("trust_user_id_is_on", extra={"advice": "any client may claim to be any user"})
    async with (
        aiohttp.ClientSession() as session,
        aiohttp.ClientSession(trust_env=True) as outside,
        _inbox(settings) as inbox,
    ):
        page, offers = StatusPage(outside, settings.status_url, most_bytes=settings.status_max_bytes), Offers()
        local = local_tools(ArticleIndex.of_folder(settings.articles_dir), page, offers)
        offers.add_own([CHECK_TASK, *(entry.tool for entry in local.values())])
        prompt = read_prompt(settings.prompt_file)
        agent = Agent(
            settings=settings,
            prompt=prompt,
            model=Model(settings),
            offers=offers,
            local=local,
            callers=_callers(settings, session),
            spans=RunSpans(settings, prompt),
            inbox=inbox,
            told=Told(inbox.pool),
        )
        async with (
            polling(agent.offers, session, settings.catalogue_url, settings.catalogue_seconds),
            checking(agent.model, offers, prompt, settings),
            watching_clock(session, settings.catalogue_url),
        ):
            tickets = ticket_for_people(settings, offers, agent.callers.signer)
            own = [tool_router(agent), tasks, calls_apart]
            signer = agent.callers.signer
            approved, undo = approved_call(local, signer, ApprovalSpans(settings), offers), router_undo(signer)
            await serve(settings, [*own, tickets, approved, undo])
        await agent.told.close()
        await agent.model.close()


def _inbox(settings: RouterSettings) -> AbstractAsyncContextManager[Inbox]:
    url, password = settings.conversations_database_url, settings.conversations_database_password
    return open_inbox("" if url is None else url.get_secret_value(), password.get_secret_value())


def _callers(settings: RouterSettings, session: aiohttp.ClientSession) -> CallerChecks:
    acceptance = Acceptance(session, settings.catalogue_url.rpartition("/")[0] + "/accepted")
    return CallerChecks(Customers(settings.customer_check), acceptance, CallSigner(settings.call_key))


def main() -> None:
    settings = RouterSettings.read()
    configure_logs("router", settings.log_level)
    serve_metrics(settings, "router")
    configure_tracing(settings, "router")
    run_service(run(settings))
