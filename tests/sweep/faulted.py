"""`python -m tests.sweep.faulted <service>`: one of our services as it is, with kill points put into its libraries."""

import os
import runpy
import sys
from pathlib import Path

from tests.sweep.points import Orders, install


def main() -> None:
    service = sys.argv[1]
    install(service, Orders(Path(os.environ["FAULT_ORDERS"])))
    sys.argv = [service, *sys.argv[2:]]
    runpy.run_module(service, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
