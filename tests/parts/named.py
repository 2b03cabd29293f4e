"""Tests that a page names."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]


def is_there(named: str) -> bool:
    """Whether there is a file of this path and, behind `::`, a test of this name in it."""
    path, _, name = named.partition("::")
    file = ROOT / path
    if not name or not file.is_file():
        return file.is_file()
    tree = ast.walk(ast.parse(file.read_text()))
    return name in {node.name for node in tree if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
