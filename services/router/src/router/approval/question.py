"""Tools for this question: which effects a run may make without a person, chosen from the customer's words alone."""

from collections.abc import Sequence

from contracts import Caller, ConversationRun, Tool
from router.shelf import Shelf
from router.turn import Turn


def has_effect(tool: Tool) -> bool:
    return tool.service is not None and (tool.mode == "send" or not tool.readonly)


def customers_words(
    given: ConversationRun | None, message: str, turns: Sequence[Turn], inputs: Sequence[str]
) -> list[str]:
    """All that the customer alone has said, the latest first, as far as the run was given it."""
    earlier = [entry.text for entry in given.entries if entry.kind == "message"] if given else []
    meanwhile = [text for turn in turns for text in turn.inputs]
    return [*reversed(inputs), *reversed(meanwhile), message, *reversed(earlier)]


def may_make(
    said: Sequence[str], turns: Sequence[Turn], shelf: Shelf, caller: Caller, most: int, *, is_news: bool
) -> list[str] | None:
    """The effects that the run may make; None: any. The first turn chooses as many as `most` of those that match what
    was said, a later one adds to them only when the customer has said more. What the policy pins is among them."""
    if most == 0:
        return None
    before = next((turn.may_make for turn in reversed(turns) if turn.may_make is not None), None)
    if before is not None and not is_news:
        return before
    found = [tool.name for tool in shelf.matching(" ".join(said), caller) if has_effect(tool)]
    pinned = [tool.name for tool in shelf.pinned() if has_effect(tool)]
    return list(dict.fromkeys([*(before or []), *pinned, *found[:most]]))
