"""The queue: unfinished tickets, and conversations that people have or are waited for in. Every view has an address."""

import re
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import Response
from starlette.routing import Route

from console.queueing import KINDS, STATES, WHO, queue_of
from console.rendering import USER
from console.routes.tickets import CURSOR
from console.ticket_forms import PRIORITIES
from console.visits import Visit, for_staff
from contracts import UNFINISHED

PLACE = re.compile(r"([0-9]{1,17}|infinity)~-?[0-9]{1,17}~conv_[A-Za-z0-9]{16,64}", re.ASCII)
CHOICES = {"who": WHO, "kind": KINDS, "state": STATES, "priority": PRIORITIES}
SHAPES = {"customer": USER, "after": CURSOR, "after_talk": PLACE}
TABS = (("all", "All"), ("mine", "Mine"), ("nobody", "Nobody has"), ("overdue", "Overdue"))


def routes() -> list[Route]:
    return [Route("/queue", for_staff(show), methods=["GET"])]


async def show(visit: Visit) -> Response:
    chosen = chosen_by(visit.request.query_params)
    queue = await queue_of(visit.desk, chosen)
    filters = {name: value for name, value in chosen.items() if not name.startswith("after")}
    return visit.page(
        "queue.html",
        rows=queue.rows,
        counts=queue.counts,
        chosen=chosen,
        is_filtered=address(filters) != "/queue",
        tabs=[(who, name, address(filters | {"who": who})) for who, name in TABS],
        more=address(filters | queue.after) if queue.after else "",
        kinds=KINDS,
        states=UNFINISHED,
        priorities=PRIORITIES,
    )


def chosen_by(asked: QueryParams) -> dict[str, str]:
    """The filters in the address, as far as they are any."""
    words = {name: asked.get(name, "").strip() for name in (*CHOICES, *SHAPES)}
    chosen = {name: words[name] if words[name] in known else "" for name, known in CHOICES.items()}
    chosen |= {name: words[name] if shape.fullmatch(words[name]) else "" for name, shape in SHAPES.items()}
    return chosen | {"who": chosen["who"] or "all", "search": asked.get("search", "").strip()[:200]}


def address(chosen: dict[str, str]) -> str:
    """That of a view: what is not chosen does not stand in it."""
    told = urlencode({name: value for name, value in chosen.items() if value and (name, value) != ("who", "all")})
    return f"/queue?{told}" if told else "/queue"
