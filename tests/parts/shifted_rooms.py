"""`ROOM=router CLOCK_SHIFT=-40 python -m tests.parts.shifted_rooms`: a room on a machine whose clock is wrong.

Python's clock is shifted, and so is what Restate's SDK, which is not Python, adds to it for timers and delayed sends.
"""

import os
import runpy
import time
from typing import Any

from restate.vm import VMWrapper


def main() -> None:
    shift(float(os.environ["CLOCK_SHIFT"]))
    runpy.run_module(os.environ["ROOM"], run_name="__main__", alter_sys=True)


def shift(seconds: float) -> None:
    right, sleep, send = time.time, VMWrapper.sys_sleep, VMWrapper.sys_send
    shifted = round(seconds * 1000)

    def shifted_sleep(self: VMWrapper, millis: int, name: str | None = None) -> Any:
        return sleep(self, max(0, millis + shifted), name)

    def shifted_send(self: VMWrapper, *what: Any, delay: int | None = None, **how: Any) -> Any:
        return send(self, *what, delay=None if delay is None else max(0, delay + shifted), **how)

    time.time = lambda: right() + seconds
    library: Any = VMWrapper
    library.sys_sleep, library.sys_send = shifted_sleep, shifted_send


if __name__ == "__main__":
    main()
