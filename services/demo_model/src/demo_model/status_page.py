"""An example status page, in the format that Statuspage publishes at `/api/v2/summary.json`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

COMPONENTS = {
    "API": "degraded_performance",
    "Dashboard": "operational",
    "Authentication": "operational",
    "Payments": "operational",
    "Webhooks": "operational",
    "Data Export": "operational",
    "Documentation": "operational",
}
PAGE_ID = "nimbus0status"
STATUS_PATH = "/api/v2/summary.json"


async def show_status(_: web.Request) -> web.Response:
    """`GET /api/v2/summary.json`"""
    return web.json_response(summary(datetime.now(UTC)))


def summary(now: datetime) -> dict[str, Any]:
    """One incident under way since twenty minutes, and a maintenance that is announced."""
    components = {name: _component(index, name, status, now) for index, (name, status) in enumerate(COMPONENTS.items())}
    return {
        "page": {
            "id": PAGE_ID,
            "name": "Nimbus",
            "url": "https://status.nimbus.example",
            "time_zone": "Etc/UTC",
            "updated_at": _time(now),
        },
        "components": list(components.values()),
        "incidents": [_incident(components["API"], now)],
        "scheduled_maintenances": [_maintenance(components["Dashboard"], now)],
        "status": {"indicator": "minor", "description": "Partially Degraded Service"},
    }


def _component(index: int, name: str, status: str, now: datetime) -> dict[str, Any]:
    return {
        "id": f"component{index:03}",
        "name": name,
        "status": status,
        "created_at": "2024-03-01T09:00:00.000Z",
        "updated_at": _time(now - timedelta(minutes=20)),
        "position": index + 1,
        "description": None,
        "showcase": False,
        "start_date": "2024-03-01",
        "group_id": None,
        "page_id": PAGE_ID,
        "group": False,
        "only_show_if_degraded": False,
    }


def _incident(component: dict[str, Any], now: datetime) -> dict[str, Any]:
    started = now - timedelta(minutes=20)
    text = "We see more 5xx answers than usual on api.nimbus.example and are looking for the cause."
    return _event("incident001", "Elevated error rates on the API", "investigating", "minor", component, started, text)


def _maintenance(component: dict[str, Any], now: datetime) -> dict[str, Any]:
    begins = (now + timedelta(days=3)).replace(hour=4, minute=0, second=0, microsecond=0)
    text = "The dashboard will be read-only for up to 30 minutes."
    announced = now - timedelta(days=1)
    event = _event(
        "maintenance001", "Dashboard database upgrade", "scheduled", "maintenance", component, announced, text
    )
    return event | {"scheduled_for": _time(begins), "scheduled_until": _time(begins + timedelta(minutes=30))}


def _event(
    event_id: str, name: str, status: str, impact: str, component: dict[str, Any], at: datetime, text: str
) -> dict[str, Any]:
    update = {
        "id": f"{event_id}update1",
        "status": status,
        "body": text,
        "incident_id": event_id,
        "created_at": _time(at),
        "updated_at": _time(at),
        "display_at": _time(at),
        "affected_components": [
            {"code": component["id"], "name": component["name"], "new_status": component["status"]}
        ],
    }
    return {
        "id": event_id,
        "name": name,
        "status": status,
        "created_at": _time(at),
        "updated_at": _time(at),
        "started_at": _time(at),
        "monitoring_at": None,
        "resolved_at": None,
        "impact": impact,
        "shortlink": f"https://status.nimbus.example/{event_id}",
        "page_id": PAGE_ID,
        "incident_updates": [update],
        "components": [component],
    }


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
