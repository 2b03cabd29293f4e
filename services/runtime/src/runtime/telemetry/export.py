"""Whether spans are sent: the one place that loads OpenTelemetry, and only where a collector is named."""

from runtime.settings import RestateServiceSettings
from runtime.telemetry import tracing


def configure_tracing(settings: RestateServiceSettings, service: str) -> None:
    """Send the spans of this process to the collector that the settings name; do nothing if they name none."""
    if settings.otel_exporter_otlp_endpoint:
        from runtime.telemetry.otlp import OtlpExport

        tracing.send_to(OtlpExport(settings, service))
