"""The ticket services in a process whose notifier gives up after a moment and not after a day."""

from datetime import timedelta
from importlib import import_module
from typing import Any


def run_with_little_patience() -> None:
    notifier: Any = import_module("tickets.notifier")
    notifier.GIVE_UP_AFTER = timedelta(milliseconds=1)
    import_module("tickets.service").main()


if __name__ == "__main__":
    run_with_little_patience()
