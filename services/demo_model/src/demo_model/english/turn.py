"""One turn: the model looks at the conversation and either calls tools or answers."""

import json
from typing import Any

from demo_model.english.answer import compose, named
from demo_model.english.arguments import Said, Unfillable, fill, required_of
from demo_model.english.results import Result, ids_in, results_of
from demo_model.english.routing import Choice, Routed, forced, route
from demo_model.english.summary import summary_of
from demo_model.english.words import stems, tokens
from demo_model.wire.conversation import Conversation, ToolSpec, text_of
from demo_model.wire.replies import MODEL, Call, Reply
from demo_model.wire.shapes import as_object

WHAT_I_AM = f"I am {MODEL}, a stand-in for a language model: I match words and understand nothing."

_GREETINGS = frozenset(("hello", "hi", "hey", "morning", "evening", "greetings"))
_THANKS = frozenset(("thanks", "thank", "thx", "cheers"))
_ABOUT_ARGUMENTS = frozenset(
    stems("argument parameter invalid valid required missing schema expected match allowed field type")
)


def next_turn(conversation: Conversation) -> Reply:
    """The model's own reply. Only user messages choose tools: what a tool returned is told, never obeyed."""
    if conversation.wants_summary:
        return Reply(summary_of(conversation))
    offered = conversation.offered()
    results = results_of(conversation.since_asked)
    if results:
        again = _repairs(conversation, offered, results) if offered else ()
        return _calls(conversation, again) if again else Reply(compose(conversation.asked, _latest(results)))
    said = _said(conversation)
    routed = route(said, offered)
    if not routed.calls and conversation.must_call and offered:
        routed = forced(said, offered)
    return _calls(conversation, routed.calls) if routed.calls else Reply(_without_tools(conversation, offered, routed))


def _said(conversation: Conversation) -> Said:
    earlier = [text_of(one) for one in conversation.messages if one["role"] == "user"]
    return Said(conversation.asked, tuple(earlier[:-1]), ids_in(conversation.messages))


def _calls(conversation: Conversation, choices: tuple[Choice, ...]) -> Reply:
    """Calls with ids that are unique in the conversation, and the same again when the request is repeated."""
    chosen = choices if conversation.parallel else choices[:1]
    turn = conversation.turns
    return Reply(
        calls=tuple(
            Call(f"call_{turn}_{number}", one.tool, json.dumps(one.arguments)) for number, one in enumerate(chosen)
        )
    )


def _repairs(conversation: Conversation, offered: list[ToolSpec], results: list[Result]) -> tuple[Choice, ...]:
    """Calls that failed for their arguments, repeated with the required ones alone; once for each question."""
    if sum(1 for one in conversation.since_asked if one["role"] == "assistant") != 1:
        return ()
    specs = {one.name: one for one in offered}
    said = _said(conversation)
    found: list[Choice] = []
    for result in results:
        spec = specs.get(result.tool)
        if spec is None or not _blames_arguments(result.error or ""):
            continue
        try:
            arguments = fill(_required_only(spec.parameters), said).arguments
        except Unfillable:
            continue
        if json.dumps(arguments, sort_keys=True) != _sorted(result.arguments):
            found.append(Choice(spec.name, arguments))
    return tuple(found)


def _blames_arguments(error: str) -> bool:
    return bool(_ABOUT_ARGUMENTS & set(stems(error))) and "repeat" not in error


def _required_only(parameters: dict[str, Any]) -> dict[str, Any]:
    required = required_of(parameters)
    properties = as_object(parameters.get("properties")) or {}
    return {**parameters, "properties": {name: one for name, one in properties.items() if name in required}}


def _sorted(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except ValueError:
        return arguments


def _latest(results: list[Result]) -> list[Result]:
    """Without the failures that a later call of the same tool has mended."""
    mended = {one.tool for one in results if one.error is None}
    return [one for one in results if one.error is None or one.tool not in mended]


def _without_tools(conversation: Conversation, offered: list[ToolSpec], routed: Routed) -> str:
    """What to say when no tool fits."""
    if routed.missing:
        return f"Please tell me the {' '.join(tokens(routed.missing))}, then I can look."
    words = set(tokens(conversation.asked))
    if words & _THANKS:
        return "You are welcome."
    hello = "Hello! " if words & _GREETINGS else ""
    able = ", ".join(named(one.name) for one in offered)
    offer = f" I can use these tools: {able}." if able else ""
    nothing = "" if hello else " None of the words I know match your message."
    return f"{hello}{WHAT_I_AM}{nothing}{offer}"
