"""The desk with much in it: how long its lists take and how large they are, with all the real parts of `make run`."""

import asyncio
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from tests.parts.staff import StaffBrowser
from tests.parts.standalone import Standalone

GOAL_SECONDS = 0.1
GOAL_BYTES = 150_000
LONG = "/conversations/conv_demo0000000000000000"
"""The seeded conversation that is longest."""
PAGES: Mapping[str, str] = {
    "queue": "/queue",
    "queue, mine": "/queue?who=mine",
    "queue, nobody has": "/queue?who=nobody",
    "queue, overdue": "/queue?who=overdue",
    "queue, of a priority": "/queue?priority=urgent",
    "queue, of a state": "/queue?state=waiting",
    "queue, of a customer": "/queue?customer=user_12345",
    "queue, conversations": "/queue?kind=conversations",
    "search, a common word": "/queue?search=morning",
    "search, a rare word": "/queue?search=00042",
    "search, two words": "/queue?search=webhook+lisbon",
    "search, nothing": "/queue?search=kingfisher",
    "tickets": "/tickets",
    "tickets, closed": "/tickets?state=closed",
    "tickets, search": "/tickets?search=dashboard",
    "approvals": "/approvals",
    "approvals, decided": "/approvals?show=decided",
    "audit": "/audit",
    "audit, of a person": "/audit?who=anna",
    "audit, of a kind": "/audit?kind=approval",
    "a long conversation": LONG,
    "a long conversation, earlier": f"{LONG}?before=300",
}
_MORE = re.compile(r'<a class="button" href="([^"]+)">More</a>')


@dataclass(frozen=True)
class Page:
    """How long the console was at a page each time, in seconds, by its own log; how large it is, and how often it did
    not come."""

    name: str
    seconds: list[float]
    size: int
    failed: int

    @property
    def median(self) -> float:
        return sorted(self.seconds)[len(self.seconds) // 2]

    def as_row(self) -> str:
        took = sorted(self.seconds)
        p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
        over = " **over**" if self.median > GOAL_SECONDS else ""
        took_ms = f"{1000 * self.median:.0f}{over} | {1000 * p99:.0f}"
        return f"| {self.name} | {took_ms} | {self.size / 1000:.0f} | {self.failed} |"


@dataclass(frozen=True)
class Measured:
    tickets: int
    messages: int
    seeded: float
    pages: list[Page]

    @property
    def held(self) -> bool:
        queues = [page.size for page in self.pages if page.name.startswith(("queue", "search"))]
        quick = all(page.median <= GOAL_SECONDS and not page.failed for page in self.pages)
        return quick and max(queues) <= GOAL_BYTES

    def as_markdown(self) -> str:
        return "\n".join(
            [
                f"{self.tickets} tickets, {self.messages} messages, seeded in {self.seeded:.0f} s; each page "
                f"{len(self.pages[0].seconds)} times, one after the other.",
                "",
                "| page | p50 ms | p99 ms | KB | failed |",
                "|---|---|---|---|---|",
                *(page.as_row() for page in self.pages),
            ]
        )


async def full_desk(folder: Path, *, tickets: int, messages: int, times: int) -> Measured:
    machine = Standalone(folder / "data", PROMETHEUS_PORT="0")
    try:
        await machine.start(seconds=180)
        began = time.monotonic()
        wanted = ("--tickets", str(tickets), "--messages", str(messages))
        seeding = await machine.begin_command("seed", *wanted)
        if await seeding.wait():
            raise SystemExit("the seed command failed")
        seeded = time.monotonic() - began
        await asyncio.sleep(5)  # what was written settles, as it would have
        async with StaffBrowser(f"http://127.0.0.1:{machine.ports['CONSOLE_PORT']}") as staff:
            await staff.sign_in("carla")
            log = machine.data_dir / "logs" / "console.log"
            pages = [await _measured(staff, log, name, address, times) for name, address in PAGES.items()]
            pages += await _deep(staff, log, times)
        return Measured(tickets, messages, seeded, pages)
    finally:
        await machine.interrupt()
        await machine.clean_up()


async def _measured(staff: StaffBrowser, log: Path, name: str, address: str, times: int) -> Page:
    seen = [await staff.get(address) for _ in range(2)]  # nothing is warm yet
    begin = log.stat().st_size
    seen = [await staff.get(address) for _ in range(times)]
    with log.open("rb") as lines:
        lines.seek(begin)
        answers = [json.loads(line) for line in lines if b'"page_answered"' in line]
    size = max(len(each.text.encode()) for each in seen)
    return Page(name, [each["seconds"] for each in answers], size, sum(each.status != 200 for each in seen))


async def _deep(staff: StaffBrowser, log: Path, times: int) -> list[Page]:
    """The twentieth page of the queue."""
    address = "/queue"
    for _ in range(19):
        found = _MORE.search((await staff.get(address)).text)
        if found is None:
            return []
        address = unescape(found[1])
    return [await _measured(staff, log, "queue, 20th page", address, times)]
