"""`seed`: fills the database of this machine with demo data. What is there already stays as it is."""

from datetime import UTC, datetime
from time import monotonic

import aiohttp

from runtime.postgres import open_pool
from standalone.database import running_database
from standalone.seed.approvals import keep_approvals
from standalone.seed.guard import SeedSettings, check_database
from standalone.seed.objects import Objects
from standalone.seed.talks import keep_talks
from standalone.seed.tickets import keep_tickets
from standalone.terminal import say
from tickets.life import usual
from users.demo import demo_names

TICKETS_PER_APPROVAL = 20


async def seed(settings: SeedSettings, tickets: int, messages: int) -> None:
    """Raises: `StartError` while `make run` is not up, or where the database is no demo's."""
    settings.check()
    began, now, customers = monotonic(), datetime.now(UTC), sorted(demo_names())
    database = running_database(settings)
    await check_database(database, customers)
    say("demo data of made-up customers:")
    async with open_pool(database.url("tickets", "app"), "tickets") as pool:
        say(f"  {await keep_tickets(pool, tickets, customers, usual(), now)} tickets")
    urls = database.url("conversations", "app")
    async with open_pool(urls, "conversations") as pool, aiohttp.ClientSession() as http:
        objects = Objects(http, settings.admin_url)
        say(f"  {await keep_talks(pool, objects, messages, customers, now)} conversations")
        wanted = tickets // TICKETS_PER_APPROVAL
        say(f"  {await keep_approvals(pool, wanted, customers, now)} calls that a person decides")
    say(f"added in {monotonic() - began:.0f} s; what was there already is as it was. The desk: {settings.console_url}")
