"""An endpoint's error, read in every dialect: what it means, and what of it may be told to the log."""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast

Meaning = Literal["context", "filtered", "bad_call", "spent", "limited", "busy", "unfitting", "misconfigured"]
"""What an error means.

- `context`: the conversation is too long
- `filtered`: a content filter refused the question
- `bad_call`: the endpoint could not read the call that its model wrote
- `spent`: quota or money is used up
- `limited`: too many requests or tokens for now
- `busy`: passing trouble
- `unfitting`: a part of the request is not taken; leaving it out may help
- `misconfigured`: somebody has to mend a setting
"""

MESSAGE_CHARACTERS = 300
CODE_CHARACTERS = 60
SHORT_WORD = 4
DATE_SECONDS = 1.0
"""A date is told in whole seconds: what was meant may be that much later."""

_CONTEXT = re.compile(
    r"context.?(?:length|size|window)|maximum context|prompt is too long|input is too long|too many (?:input )?tokens"
    r"|exceed\w* (?:the |model'?s? |maximum |max |available |allowed |number of |input |prompt )*(?:token|context)"
    r"|request too large|reduce the length|input token count|prompt too long|too large for model|token limit exceeded"
    r"|input length .* exceed|max_prompt_length|string_above_max_length|model_length",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content[_ ]?(?:filter|management|policy)|responsible\s?ai|\bflagged\b|moderation"
    r"|safety (?:system|filter|settings)|data_?inspection|prohibited_content|usage polic|violat\w+ .*polic|sensitive",
    re.IGNORECASE,
)
_BAD_CALL = re.compile(
    r"tool_use_failed|failed to call a function|failed to parse (?:input|tool|function|model|generated)"
    r"|tool call validation|could not parse (?:tool|function|model)|malformed_function_call|failed_generation"
    r"|output_parse|parse.* tool.?call|error parsing tool call|invalid (?:tool call|function call) generated",
    re.IGNORECASE,
)
_SPENT = re.compile(
    r"insufficient.?(?:quota|credit|balance|fund)|exceeded your current quota|billing|payment required|credit balance"
    r"|out of credit|arrear|quota.?exceeded.*(?:day|month)|account.*suspend|spending limit"
    r"|balance.*(?:exhausted|too low)",
    re.IGNORECASE,
)
_NO_TOOLS = re.compile(
    r"support (?:tool|function)|tools? (?:is|are) not supported|tool use.*not supported", re.IGNORECASE
)
_LIMIT = re.compile(r"max_\w*tokens|output limit|token limit", re.IGNORECASE)
_TOO_FEW = re.compile(
    r"limit was reached|could not finish|minimum|at least|below|greater than|too (?:low|small|few)|>=", re.IGNORECASE
)
_WAIT_SAID = re.compile(
    r"(?:try again|retry(?: after)?|wait)(?: in)?[: ]+(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m(?!s))?"
    r"(?:(?P<s>\d+(?:\.\d+)?)\s*(?P<unit>ms|s))?",
    re.IGNORECASE,
)
_KEYS = re.compile(
    r"(?i)\bbearer\s+\S+|\b(?:sk|gsk|key|xai|pplx|hf|ghp|AIza)[-_*A-Za-z0-9]{6,}|[\w.+-]+@[\w-]+\.[\w.]+|\S{33,}"
)
_WORD = re.compile(r"\w+(?:[-'.@]\w+)*")


@dataclass(frozen=True)
class Refusal:
    """What an endpoint said instead of an answer. `retry_after` is the pause in seconds that it asks for."""

    status: int
    code: str = ""
    type: str = ""
    param: str = ""
    message: str = ""
    retry_after: float | None = None

    @property
    def words(self) -> str:
        return f"{self.code} {self.type} {self.message}"

    @property
    def meaning(self) -> Meaning:
        """By what it says first, then by its status: providers agree on neither."""
        status, words = self.status, self.words
        if _SPENT.search(words) or status == 402:
            return "spent"
        if _NO_TOOLS.search(words):
            return "misconfigured"
        if _BAD_CALL.search(words):
            return "bad_call"
        if status == 413 or (status in (400, 422, 500) and _CONTEXT.search(words)):
            return "context"
        if status in (400, 403, 422, 451) and _FILTERED.search(words):
            return "filtered"
        if status == 429:
            return "limited"
        if status in (400, 422):
            return "unfitting"
        return "misconfigured" if 400 < status < 500 and status not in (408, 409, 425, 499) else "busy"

    @property
    def wants_more_tokens(self) -> bool:
        """Whether a reply was asked for that is shorter than the endpoint gives any."""
        told = f"{self.param} {self.words}"
        return bool(_TOO_FEW.search(told) and _LIMIT.search(told)) and self.meaning == "unfitting"

    def scrubbed(self, sent: Iterable[str]) -> "Refusal":
        """For a log line: bounded, and without keys and without any word of the texts that were sent."""
        words = words_of(sent)
        return Refusal(
            status=self.status,
            code=scrubbed(self.code, words)[:CODE_CHARACTERS],
            type=scrubbed(self.type, words)[:CODE_CHARACTERS],
            param=scrubbed(self.param, words)[:CODE_CHARACTERS],
            message=scrubbed(self.message, words)[:MESSAGE_CHARACTERS],
        )


def read_refusal(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Refusal:
    """The error of a response, whatever its shape; `now` is in seconds since the epoch."""
    try:
        value = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        value = None
    return refusal_of(value, status, headers, now)


def refusal_of(value: Any, status: int, headers: Mapping[str, str] | None = None, now: float = 0) -> Refusal:
    """The error in a JSON value: an object with `error`, the error itself, or a list of one."""
    if isinstance(value, list) and value:
        value = cast(list[Any], value)[0]
    top = cast(dict[str, Any], value) if isinstance(value, dict) else {}
    inner: Any = top.get("error", top)
    found: dict[str, Any] = cast(dict[str, Any], inner) if isinstance(inner, dict) else {"message": inner}
    detail = found.get("detail") or top.get("detail")
    message = _text(found.get("message")) or _text(detail)
    nested = found.get("innererror") or found.get("metadata")
    kind = _text(found.get("type")) or _text(found.get("status"))
    code = " ".join(filter(None, (_text(found.get("code")), _inner_code(nested))))
    return Refusal(
        status=status if status >= 400 else _status_inside(found, f"{code} {kind} {message}"),
        code=code,
        type=kind,
        param=_text(found.get("param")),
        message=message,
        retry_after=_pause_asked(headers or {}, message, now),
    )


def _status_inside(found: dict[str, Any], words: str) -> int:
    """The status that an error inside of a 200 would have had: by its own numbers, else by what it says."""
    told = (str(found.get(name)) for name in ("code", "status"))
    numbers = [int(text) for text in told if text.isdecimal() and 400 <= int(text) < 600]
    return next(iter(numbers), 400 if _CONTEXT.search(words) or _FILTERED.search(words) else 502)


def _inner_code(nested: Any) -> str:
    return _text(cast(dict[str, Any], nested).get("code")) if isinstance(nested, dict) else ""


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return ""
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:2000].replace("\0", "").encode("utf-8", "replace").decode()


def _pause_asked(headers: Mapping[str, str], message: str, now: float) -> float | None:
    """In seconds: `Retry-After` in its three forms, a limit's reset, or what the message says."""
    read = {name.lower(): value for name, value in headers.items()}
    for name, unit in (("retry-after-ms", 0.001), ("x-ms-retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (seconds := _number(read.get(name))) is not None:
            return seconds * unit
    if "retry-after" in read:
        try:
            date = parsedate_to_datetime(read["retry-after"]).timestamp()
            return max(0.0, date + DATE_SECONDS - now)
        except ValueError:
            pass
    resets = [_number(value) for name, value in read.items() if re.fullmatch(r"x-rate-?limit-reset(-\w+)?", name)]
    if found := [seconds for seconds in resets if seconds is not None and seconds < 86400]:
        return max(found)
    return _pause_said(message)


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _pause_said(message: str) -> float | None:
    found = _WAIT_SAID.search(message)
    if found is None or not any(found.group("h", "m", "s")):
        return None
    seconds = float(found["s"] or 0) * (0.001 if found["unit"] == "ms" else 1)
    return int(found["h"] or 0) * 3600 + int(found["m"] or 0) * 60 + seconds


def words_of(texts: Iterable[str]) -> set[str]:
    """The words that are long enough to tell something."""
    return {word.lower() for text in texts for word in _WORD.findall(text) if len(word) >= SHORT_WORD}


def scrubbed(text: str, words: Collection[str]) -> str:
    """Without keys and addresses, and without `words`."""
    return _WORD.sub(lambda word: "…" if word[0].lower() in words else word[0], _KEYS.sub("…", text))
