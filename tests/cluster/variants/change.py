"""`python change.py <variant>`: changes the installed router's code, in the image that is being built."""

import py_compile
import sys
from importlib.util import find_spec
from pathlib import Path

CHANGES = {
    "prompt": ("prompt.md", "Answer briefly,", "Answer in one short paragraph,"),
    "steps": (
        "agent.py",
        "            await refuse_unknown_customer(run, agent)\n",
        '            await ctx.run_typed("one step more", lambda: 1)\n'
        "            await refuse_unknown_customer(run, agent)\n",
    ),
    "type": ("agent.py", "restate.Service(", "restate.VirtualObject("),
}


def change(folder: Path, variant: str) -> None:
    name, old, new = CHANGES[variant]
    code = (folder / name).read_text()
    if code.count(old) != 1:
        sys.exit(f"{name} does not hold {old!r} once")
    (folder / name).write_text(code.replace(old, new))
    if name.endswith(".py"):
        py_compile.compile(str(folder / name), doraise=True)


if __name__ == "__main__":
    router = find_spec("router")
    assert router is not None
    assert router.submodule_search_locations is not None
    change(Path(router.submodule_search_locations[0]), sys.argv[1])
