"""What a model writes into its text that is not for a reader: its thinking, its channels, its template, our nudges."""

import re

from router.transcript import ASK_AGAIN

_OPEN = r"<(?:think(?:ing)?|thought|reasoning|reflection|seed:think)>|\[THINK\]|◁think▷|<\|begin_of_thought\|>"
_CLOSE = r"</(?:think(?:ing)?|thought|reasoning|reflection|seed:think)>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>"
_WHOLE = re.compile(rf"(?:{_OPEN}).*?(?:{_CLOSE})\s*", re.DOTALL | re.IGNORECASE)
_REST_OF = re.compile(rf"\A.*(?:{_CLOSE})\s*", re.DOTALL | re.IGNORECASE)
_BEGUN = re.compile(rf"(?:{_OPEN}).*\Z", re.DOTALL | re.IGNORECASE)
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(?P<channel>\w+)[^<]*(?:<\|constrain\|>\w*\s*)?<\|message\|>(?P<said>.*?)"
    r"(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
_MARKER = re.compile(
    r"<\|(?:im_|start|end|return|call|eot|eom|assistant|endof|message)[a-z_]*\|>|</?s>|<(?:start|end)_of_turn>"
)
_TEMPLATE = re.compile(
    r"<(?P<tag>tools|tool_responses?|tool_results?|function_results?)>(?:.*?</(?P=tag)>)?"
    r"|\[(?P<name>AVAILABLE_TOOLS|TOOL_RESULTS)\](?:.*?\[/(?P=name)\])?"
    r"|</(?:tools|tool_responses?|tool_results?|function_results?)>|\[/?INST\]",
    re.DOTALL,
)
"""What a template writes for the model to read, of tools and of results: a small model writes it on."""


def without_thinking(text: str) -> str:
    """Without what stands in a model's marks of thinking. Thinking without its end goes to the last character."""
    return _BEGUN.sub("", _REST_OF.sub("", _WHOLE.sub("", text)))


def thinks_unmarked(text: str) -> bool:
    """Whether there is an end of thinking in it without a beginning: all before it was thinking."""
    return _REST_OF.match(_WHOLE.sub("", text)) is not None


def final_channel(text: str) -> str:
    """What a model with channels says to the reader; of any other model all that it says."""
    channels = list(_CHANNEL.finditer(text))
    if channels:
        text = "".join(each["said"] for each in channels if each["channel"] == "final")
    return without_ours(_TEMPLATE.sub("", _MARKER.sub("", text)))


def without_ours(text: str) -> str:
    """Without the words by which a reply is asked for again, which a small model repeats."""
    for asked in ASK_AGAIN.values():
        text = text.replace(asked, "")
    return text
