"""Whatever a program of ours prints goes through one function, and a terminal obeys nothing of it."""

import ast
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import standalone.terminal
from registry.accept import _told  # pyright: ignore[reportPrivateUsage]
from registry.tools import build_tool
from runtime import terminal
from tests.unit.test_registry_pins import handler, service
from tickets.desk import StaffTicket
from tickets.staff import _row, _table  # pyright: ignore[reportPrivateUsage]

ROOT = Path(__file__).parents[2]

HOSTILE = [
    "\x1b[2J",
    "\x1b]0;a title\x07",
    "\x1b]8;;http://evil.example\x1b\\\\a link\x1b]8;;\x1b\\\\",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x1bP+q544e\x1b\\\\",
    "\x9b31m",
    "\x90q\x9c",
    "right\u202eleft",
    "\u2066isolated\u2069",
    "over\rwritten",
    "back\x08space",
    "nul\x00",
    "bell\x07",
    "delete\x7f",
    "line\u2028end",
    "next\x85line",
    "half \ud800 pair",
    "zero\u200bwidth",
    "tags \U000e0041",
]


def staff_table(text: str) -> None:
    now, text = datetime.now(UTC), text.encode(errors="replace").decode()  # a database holds no half pairs
    ticket = StaffTicket(
        **dict.fromkeys(("ticket_id", "user_id", "subject", "description", "assignee", "prompt"), text),
        category="bug",
        priority="high",
        status="open",
        sla_due_at=now,
        created_at=now,
        updated_at=now,
    )
    _table(("A", "B", "C", "D", "E", "F", "G", "H"), [_row(ticket, now)], "")


def accepted_tool(text: str) -> None:
    parcels = service("Parcels", "dp_1", handler(documentation=text.encode(errors="replace").decode()))
    terminal.show(_told(build_tool(parcels, parcels.handlers[0]), f"http://host/{text}", None))


OUTPUTS: list[Callable[[str], None]] = [
    terminal.show,
    terminal.complain,
    standalone.terminal.say,
    standalone.terminal.complain,
    standalone.terminal.Progress().done,
    staff_table,
    accepted_tool,
]


@pytest.mark.parametrize("output", OUTPUTS, ids=lambda output: output.__qualname__)
def test_a_terminal_obeys_nothing_that_is_printed(
    capsys: pytest.CaptureFixture[str], output: Callable[[str], None]
) -> None:
    for text in HOSTILE:
        output(text)
        shown = "".join(capsys.readouterr())
        assert not [char for char in shown if not char.isprintable() and char != "\n"], repr(text)


def test_what_ends_a_program_is_cleaned_too() -> None:
    for text in HOSTILE:
        with pytest.raises(SystemExit) as left:
            terminal.leave(text)
        assert str(left.value).isprintable(), repr(text)


@pytest.mark.parametrize("markup", ["[red]no colour[/red]", "[link=http://evil.example]no link[/link]"])
def test_what_is_shown_is_no_markup(capsys: pytest.CaptureFixture[str], markup: str) -> None:
    standalone.terminal.Progress().done(markup)
    assert markup in capsys.readouterr().out


@pytest.mark.parametrize("text", ["Zeile 1\n\tGrüße ✓", "10\u00a0000 €", "👩\u200d💻", "日本語"])
def test_what_people_write_stays(text: str) -> None:
    assert terminal.printable(text) == text


def test_what_fills_a_part_of_a_line_ends_none() -> None:
    assert terminal.printable("a\nb\tc", lines=False) == "a\ufffdb\ufffdc"


MAY_PRINT = {
    "runtime/terminal.py": "the function itself",
    "standalone/terminal.py": "the same with colours, by that function",
    "demo_model/service.py": "imports nothing of ours, and prints its own settings alone",
    "standalone/signals_page.py": "prints a page of this repository",
}


def printing(source: str) -> Iterator[int]:
    """The lines that print, or end the program with a text, by other ways; a literal is ours."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            literal = all(isinstance(argument, ast.Constant) for argument in node.args)
            prints = name in ("print", "typer.echo", "sys.stdout.write", "sys.stderr.write", "console.print")
            if prints or (name == "sys.exit" and not literal):
                yield node.lineno


def test_nothing_is_printed_by_another_way() -> None:
    found = [
        f"{name}:{line}"
        for path in sorted((ROOT / "services").glob("*/src/**/*.py"))
        if (name := "/".join(path.parts[-2:])) not in MAY_PRINT
        for line in printing(path.read_text())
    ]
    assert found == []
    assert list(printing((ROOT / "charts/switchboard/files/ask.py").read_text())) == []
