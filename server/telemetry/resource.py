"""What all telemetry says of its source."""

from opentelemetry.sdk.resources import OTELResourceDetector, Resource


def resource() -> Resource:
    """Service "turnout", unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES say otherwise."""
    return Resource.create({"service.name": "turnout"}).merge(OTELResourceDetector().detect())
