"""How much work something is, however busy the machine is."""

import gc
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Generator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def seconds_of_work(action: Callable[[], object], limit: float, tries: int = 3) -> float:
    """What the fastest of a few tries took of a processor; the first below the limit is enough.

    Nothing that others do is counted: neither other threads nor a collection of what other tests left.
    """
    fastest = float("inf")
    for _ in range(tries):
        if fastest < limit:
            break
        with no_collection():
            started = time.thread_time()
            action()
            fastest = min(fastest, time.thread_time() - started)
    return fastest
