"""Defects: failures of our own code, such as a TypeError, that no retry can mend.

What may be mended by a retry is a closed list: `RetryableError` (a database that is away, a busy model), `TryAgain`,
and `OSError` (the network, the disk). Anything else is a defect: what a caller waits for ends with a neutral 500 after
three attempts, and what was accepted for good is tried again each minute until a mended version does it.

Restate is told a class and a place; the words of an exception, which may hold a customer's, and its stack stay here.
"""

import functools
import inspect
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

from restate import TerminalError
from restate.exceptions import RetryableError, SdkInternalBaseException
from restate.extensions import current_context
from restate.serde import Serde
from restate.server_context import DisconnectedException, restate_context_is_replaying
from restate.vm import VMException  # pyright: ignore[reportUnknownVariableType]

from runtime.endpoint import RestateService
from runtime.errors import TryAgain
from runtime.retries import RETRY_UNTIL_DONE, accepted_for_good
from runtime.steps import pause_after
from runtime.telemetry.logs import classes_of, get_logger, place_of
from runtime.telemetry.metrics import SHARED

ATTEMPTS = 3
KEPT_INVOCATIONS = 10_000
LONGEST_TEXT = 250
DEFECT = {"fault": "defect"}
"""Metadata of the `TerminalError` that ends an invocation because of a defect."""

_TOLD = "something went wrong on our side; the people who run this service have been told"
_PASSED_ON: tuple[type[BaseException], ...] = (
    *(TerminalError, RetryableError, TryAgain, SdkInternalBaseException, DisconnectedException),
    cast(type[BaseException], VMException),
)
"""What the SDK itself ends, suspends or repeats an attempt by."""

log = get_logger(__name__)

_defects = SHARED.counter("switchboard_defects_total")


class Counts:
    """How often an invocation failed by the same class of exception. A restart of this process begins anew."""

    def __init__(self, kept: int = KEPT_INVOCATIONS) -> None:
        self._kept = kept
        self._counts: OrderedDict[tuple[str, str], int] = OrderedDict()

    def add(self, invocation: str, error: Exception) -> int:
        key = (invocation, type(error).__qualname__)
        self._counts[key] = self._counts.pop(key, 0) + 1
        if len(self._counts) > self._kept:
            self._counts.popitem(last=False)
        return self._counts[key]


_counts = Counts()


def guard_handlers(service: RestateService) -> None:
    """From now on no handler of this service fails on and on because of a defect, wherever in it that is: in a step,
    between steps, or when its result is written."""
    for handler in cast(Any, service).handlers.values():
        policy = handler.invocation_retry_policy or service.invocation_retry_policy
        around = functools.partial(_around, policy is RETRY_UNTIL_DONE)
        handler.context_managers = [around, *(handler.context_managers or [])]
        expect(service.name, handler.name)


def expect(service: str, handler: str) -> None:
    """A count that begins at 0 shows its first event."""
    _defects.labels(service, handler)


def tell(service: str, handler: str, error: Exception, first: bool = True) -> None:
    """Count a defect, and say where it is if it is the `first` of its kind there."""
    _defects.labels(service, handler).inc()
    if first:
        log.error("defect", extra={"exception": classes_of(error), "place": place_of(error)})


def is_defect(error: TerminalError) -> bool:
    """Whether this is how a defect ended a step or an invocation."""
    return (error.metadata or {}).get("fault") == DEFECT["fault"]


class Guard:
    """Over one attempt at an invocation. `kept`: it is never given up."""

    def __init__(self, ctx: Any, kept: bool = False) -> None:
        self._ctx = ctx
        self._kept = kept

    @contextmanager
    def told_shortly(self) -> Generator[None]:
        """What fails in here fails as Restate should be told."""
        try:
            yield
        except _PASSED_ON:
            raise
        except Exception as error:
            if isinstance(error.__cause__, _PASSED_ON):  # the SDK looks there too
                raise
            raise self._told(error) from None

    def over_steps(self) -> None:
        """The SDK catches what a step raises before anybody else can, so its action is wrapped."""
        create = self._ctx.create_run_coroutine

        async def guarded(handle: int, action: Callable[[], Any], serde: Serde[Any], *options: Any) -> None:
            await create(handle, self._wrapped(action), _Written(self, serde), *options)

        self._ctx.create_run_coroutine = guarded

    def keep_the_stack(self) -> None:
        """Restate keeps what it is told for each attempt."""
        notify = self._ctx.vm.notify_error

        def notify_shortly(error: str, _stack: str, *delay: Any) -> None:
            notify(error, "", *delay)

        self._ctx.vm.notify_error = notify_shortly

    def _wrapped(self, action: Callable[[], Any]) -> Callable[[], Any]:
        async def awaited() -> Any:
            with self.told_shortly():
                return await action()

        def called() -> Any:
            with self.told_shortly():
                return action()

        return awaited if inspect.iscoroutinefunction(action) else called

    def _told(self, error: Exception) -> Exception:
        restate_context_is_replaying.set(False)  # as the SDK does when an attempt fails: this is no replay
        exception, place = classes_of(error), place_of(error)
        short = f"{exception[0]} at {place}"[:LONGEST_TEXT]
        if isinstance(error, OSError):
            log.warning("attempt_failed", extra={"exception": exception, "place": place})
            return RetryableError(short, status_code=503)
        number = _counts.add(self._ctx.request().id, error)
        tell(self._ctx.handler.service_tag.name, self._ctx.handler.name, error, first=number == 1)
        if self._kept:
            return RetryableError(short, status_code=503, retry_after=pause_after(number))
        if number < ATTEMPTS:
            return RetryableError(short, status_code=503)
        return TerminalError(_TOLD, status_code=500, metadata=DEFECT)


@asynccontextmanager
async def _around(kept: bool) -> AsyncGenerator[None]:
    accepted_for_good.set(kept)
    guard = Guard(current_context(), kept)
    guard.over_steps()
    guard.keep_the_stack()
    with guard.told_shortly():
        yield


class _Written(Serde[Any]):
    """A step's result that cannot be written is a defect too."""

    def __init__(self, guard: Guard, serde: Serde[Any]) -> None:
        self._guard, self._serde = guard, serde

    def serialize(self, obj: Any) -> bytes:
        with self._guard.told_shortly():
            return self._serde.serialize(obj)

    def deserialize(self, buf: bytes) -> Any:
        return self._serde.deserialize(buf)
