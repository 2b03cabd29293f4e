"""The first process of a container: `python -m <service>`, which leaves on SIGTERM from its first moment on.

The kernel drops signals to process 1 that it has no handler for. One that came while the service is still being
imported would be lost, and its pod would stay until the end of its grace.
"""

import os
import runpy
import signal

signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
runpy.run_module(os.environ["SERVICE"], run_name="__main__", alter_sys=True)  # noqa: TID251
