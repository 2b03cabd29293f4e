"""Keeps processes running: starts again what ends, and ends everything in order."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

from standalone.process import Process, StartError

ATTEMPTS = 5
STAYS_UP_SECONDS = 2
FIRST_PAUSE_SECONDS = 0.2
RESERVED_SECONDS = 0.4

Tell = Callable[[str], None]
Prepare = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    return


class Supervisor:
    """Holds the processes of one machine. `broken` fails as soon as one of them cannot be kept running."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._kept: dict[str, Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def keep(self, process: Process, prepare: Prepare = _nothing) -> None:
        """Start it, return once it is ready, and from then on start it again whenever it ends."""
        ready = asyncio.Event()
        keeper = asyncio.create_task(self._keep(process, prepare, ready))
        self._kept[process.program.name] = process
        self._keepers.append(keeper)
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait([keeper, waiting], return_when=asyncio.FIRST_COMPLETED)
        if keeper.done():
            waiting.cancel()
            keeper.result()

    def keep_if_possible(self, process: Process, prepare: Prepare = _nothing) -> None:
        """Start it, wait for nothing, and start it again whenever it ends; that it cannot run breaks nothing else."""
        self._kept[process.program.name] = process
        self._keepers.append(asyncio.create_task(self._try(process, prepare)))

    async def end(self, order: Sequence[Sequence[str]], seconds: float) -> None:
        """End group after group; the members of a group are told in order and awaited together."""
        deadline = time.monotonic() + seconds
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for place, names in enumerate(order, start=1):
            group = [self._kept[name] for name in names if name in self._kept]
            for_later = RESERVED_SECONDS * (len(order) - place)
            left = max(RESERVED_SECONDS, deadline - time.monotonic() - for_later)
            await asyncio.gather(*(process.stop(left) for process in group))

    async def _keep(self, process: Process, prepare: Prepare, ready: asyncio.Event) -> None:
        try:
            await self._keep_running(process, prepare, ready)
        except (StartError, OSError) as error:
            failure = error if isinstance(error, StartError) else StartError(f"{process.program.name}: {error}")
            if ready.is_set() and not self.broken.done():
                self.broken.set_exception(failure)
            raise failure from None

    async def _try(self, process: Process, prepare: Prepare) -> None:
        try:
            await self._keep_running(process, prepare, asyncio.Event())
        except (StartError, OSError) as error:
            self._tell(f"going on without {process.program.name}: {error}")

    async def _keep_running(self, process: Process, prepare: Prepare, ready: asyncio.Event) -> None:
        failures = 0
        while True:
            await prepare()
            started = time.monotonic()
            await process.start()
            came_up = await _until_ready_or_ended(process)
            if came_up:
                ready.set()
            code = await process.wait()
            stayed_up = came_up and time.monotonic() - started > STAYS_UP_SECONDS
            failures = 1 if stayed_up else failures + 1
            if failures == ATTEMPTS:
                raise StartError(f"{process.program.name} does not stay up: {process.last_line()} (see {process.log})")
            self._tell(f"{process.program.name} ended ({_how(code)}); starting it again")
            await asyncio.sleep(FIRST_PAUSE_SECONDS * 2 ** (failures - 1))


async def _until_ready_or_ended(process: Process) -> bool:
    while process.running:
        if await process.program.ready():
            return True
        await asyncio.sleep(0.05)
    return False


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
