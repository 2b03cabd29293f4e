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


def one_line(value: Any) -> str:
    """A value of JSON within a line of a list."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:160]}…"
