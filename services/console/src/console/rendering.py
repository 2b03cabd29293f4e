"""Pages: templates that escape whatever they are given."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from console.visible import hidden_in, plain, told, visible

HERE = Path(__file__).parent
STATIC = HERE / "static"
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


TICKET = re.compile(r"TCK-[0-9]{6,18}", re.ASCII)
APPROVAL = re.compile(r"appr_[A-Za-z0-9]{16,64}", re.ASCII)
CONVERSATION = re.compile(r"conv_[A-Za-z0-9]{16,64}", re.ASCII)
INVOCATION = re.compile(r"inv_[A-Za-z0-9]{1,80}", re.ASCII)
TRACE = re.compile(r"[0-9a-f]{32}", re.ASCII)
RUN = re.compile(r"run_[A-Za-z0-9_-]{1,60}", re.ASCII)
USER = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)
"""What a page makes a link of, and nothing else."""


class Asset:
    """A file that every page may load, under an address that changes with it."""

    def __init__(self, file: Path) -> None:
        self.body = file.read_bytes()
        self.media_type = MEDIA_TYPES[file.suffix]
        self.url = f"/static/{file.name}?v={hashlib.sha256(self.body).hexdigest()[:16]}"


class Pages:
    def __init__(self) -> None:
        self.assets = {file.name: Asset(file) for file in sorted(STATIC.iterdir()) if file.suffix in MEDIA_TYPES}
        self._env = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        filters = {
            "visible": visible,
            "plain": plain,
            "told": told,
            "hidden_in": hidden_in,
            "moment": moment,
            "one_line": one_line,
            "lasting": lasting,
            "ended_by": ended_by,
        }
        cast(dict[str, Any], self._env.filters).update(filters)
        tests = {"id_of_ticket": TICKET.fullmatch, "id_of_approval": APPROVAL.fullmatch}
        tests |= {
            "id_of_run": RUN.fullmatch,
            "id_of_conversation": CONVERSATION.fullmatch,
            "id_of_user": USER.fullmatch,
        }
        cast(dict[str, Any], self._env.tests).update(tests)
        cast(dict[str, Any], self._env.globals)["asset"] = self._address

    def _address(self, name: str) -> str:
        return self.assets[name].url

    def render(self, template: str, context: Mapping[str, Any], status: int = 200) -> HTMLResponse:
        return HTMLResponse(self._env.get_template(template).render(context), status)


def moment(iso: str) -> Markup:
    """A time in UTC; a script says it in the reader's own zone."""
    try:
        at = datetime.fromisoformat(iso).astimezone(UTC)
    except ValueError:
        return Markup("")
    exact, short = at.strftime("%Y-%m-%d %H:%M:%S UTC"), at.strftime("%-d %b, %H:%M UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(at.isoformat(), exact, short)


def lasting(seconds: float) -> str:
    """How long something took."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    return f"{minutes} min {int(seconds % 60)} s" if not hours else f"{hours} h {minutes % 60} min"


ENDED_BY = {
    "model_unavailable": "model unavailable: its server failed, asked for too long a wait, or its quota is used up",
    "model_misconfigured": "model misconfigured: its server refused what it was asked",
    "tools_unavailable": "tools unavailable: the router had no catalogue yet",
    "failed": "failed: it was killed, or met a defect",
    "errors_exhausted": "errors exhausted: too many of its calls failed",
    "time_exhausted": "time exhausted: the model or a tool was slow",
    "turns_exhausted": "turns exhausted: it came to no end",
    "calls_exhausted": "calls exhausted: it came to no end",
    "tokens_exhausted": "tokens exhausted: it came to no end",
}


def ended_by(outcome: str) -> str:
    """What ended a run, and what that most likely means."""
    return ENDED_BY.get(outcome, outcome.replace("_", " "))


def one_line(value: Any) -> str:
    """A value of JSON within a line of a list."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:160]}…"
