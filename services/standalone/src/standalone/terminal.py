"""What a person reads on the terminal; without one, the same lines without colours."""

import time

from rich.console import Console
from rich.text import Text

from runtime.terminal import printable

console = Console(highlight=False, soft_wrap=True)


class Progress:
    """Lines about a start, each with the seconds since it began."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def done(self, what: str) -> None:
        self._line("✓", "green", what)

    def note(self, what: str) -> None:
        self._line("·", "yellow", what)

    def _line(self, mark: str, style: str, what: str) -> None:
        console.print(
            Text(f"{time.monotonic() - self._began:5.1f} s ", "dim"), Text(mark, style), Text(printable(what))
        )


def say(text: str = "", style: str = "") -> None:
    console.print(Text(printable(text), style))


def complain(text: str) -> None:
    """One line about what went wrong, on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(printable(text), "bold red"))


def prompt() -> None:
    """What stands before a line that a person types."""
    console.print(Text("> ", "bold"), end="")
