"""The first process of a development container: the service, started again whenever its source changes."""

import os
import sys
from pathlib import Path

import watchfiles

HERE = Path(__file__).parent
START = [sys.executable, str(HERE / "start.py"), *sys.argv[1:]]

if sys.argv[1:]:  # a command such as `migrate`, which ends by itself
    os.execv(START[0], START)  # noqa: S606
watchfiles.run_process(HERE / "services", target=" ".join(START), target_type="command", sigint_timeout=2)
