"""The desk with much in it: how long its lists take and how large they are, with all the real parts of `make run`."""

import asyncio
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
    """How long a page took each time, in seconds, until it was there whole, and how large it is."""

    name: str
    seconds: list[float]
    size: int

    @property
    def median(self) -> float:
        return sorted(self.seconds)[len(self.seconds) // 2]

    def as_row(self) -> str:
        took = sorted(self.seconds)
        p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
        over = " **over**" if self.median > GOAL_SECONDS else ""
        return f"| {self.name} | {1000 * self.median:.0f}{over} | {1000 * p99:.0f} | {self.size / 1000:.0f} |"


@dataclass(frozen=True)
class Measured:
    tickets: int
    messages: int
    seeded: float
    pages: list[Page]

    @property
    def held(self) -> bool:
        queues = [page.size for page in self.pages if page.name.startswith(("queue", "search"))]
        return all(page.median <= GOAL_SECONDS for page in self.pages) and max(queues) <= GOAL_BYTES

    def as_markdown(self) -> str:
        return "\n".join(
            [
                f"{self.tickets} tickets, {self.messages} messages, seeded in {self.seeded:.0f} s; each page "
                f"{len(self.pages[0].seconds)} times, one after the other.",
                "",
                "| page | p50 ms | p99 ms | KB |",
                "|---|---|---|---|",
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
            pages = [await _measured(staff, name, address, times) for name, address in PAGES.items()]
            pages += await _deep(staff, times)
        return Measured(tickets, messages, seeded, pages)
    finally:
        await machine.interrupt()
        await machine.clean_up()


async def _measured(staff: StaffBrowser, name: str, address: str, times: int) -> Page:
    took, size = list[float](), 0
    for _ in range(times + 2):  # the first two find nothing warm
        began = time.perf_counter()
        seen = await staff.get(address)
        took.append(time.perf_counter() - began)
        if seen.status != 200:
            raise SystemExit(f"{address}: {seen.status}")
        size = len(seen.text.encode())
    return Page(name, took[2:], size)


async def _deep(staff: StaffBrowser, times: int) -> list[Page]:
    """The twentieth page of the queue."""
    address = "/queue"
    for _ in range(19):
        found = _MORE.search((await staff.get(address)).text)
        if found is None:
            return []
        address = unescape(found[1])
    return [await _measured(staff, "queue, 20th page", address, times)]
