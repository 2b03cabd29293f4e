"""What a form of ours posts."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from console.problems import Problem
from contracts import STAFF_NAME_PATTERN

MEDIA_TYPE = "application/x-www-form-urlencoded"
MOST_FIELDS = 200
MOST_CHARACTERS = 4000
MOST_REASON = 500


class Unfit(Exception):
    """What is written in a form cannot be done; `complaint` says why, `field` where, if that is not clear."""

    def __init__(self, complaint: str, field: str = "") -> None:
        super().__init__(complaint)
        self.complaint, self.field = complaint, field


async def read_form(request: Request) -> Mapping[str, str]:
    """Of a field that comes twice, the last. Raises: `Problem` for what no form of ours sends."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise Problem(415)
    body = await request.body()
    try:
        found = parse_qsl(body.decode(), True, bool(body), errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Problem(400) from None
    if any("\0" in name or "\0" in value for name, value in found):
        raise Problem(400)
    return dict(found)


def is_from_here(request: Request) -> bool:
    """Whether one of our own pages sent it, as far as the browser tells."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host", "")


def text_of(form: Mapping[str, str]) -> str:
    """What is to be said. Raises: `Unfit`."""
    text = form.get("text", "").replace("\r\n", "\n")
    if not text.strip() or len(text) > MOST_CHARACTERS:
        raise Unfit(f"Write something, of at most {MOST_CHARACTERS} characters.")
    return text


def reason_of(form: Mapping[str, str]) -> str:
    """Why something is done, for the audit. Raises: `Unfit`."""
    why = form.get("why", "").strip()
    if not 0 < len(why) <= MOST_REASON:
        raise Unfit(f"Say why, in at most {MOST_REASON} characters.")
    return why


def colleague_of(form: Mapping[str, str]) -> str:
    """The member of staff who is to have it. Raises: `Unfit`."""
    to = form.get("to", "").strip()
    if not re.fullmatch(STAFF_NAME_PATTERN, to):
        raise Unfit("A name of staff is letters, digits and _.@:- alone.")
    return to
