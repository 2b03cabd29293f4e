"""The example status page of the demo model."""

from datetime import UTC, datetime

from demo_model.status_page import summary


def test_the_status_page_has_the_published_shape() -> None:
    page = summary(datetime(2026, 5, 1, 12, 0, tzinfo=UTC))

    assert page.keys() == {"page", "components", "incidents", "scheduled_maintenances", "status"}
    states = {component["name"]: component["status"] for component in page["components"]}
    assert states["API"] == "degraded_performance"
    assert states["Payments"] == "operational"
    assert page["incidents"][0]["incident_updates"][0]["created_at"] == "2026-05-01T11:40:00.000Z"
