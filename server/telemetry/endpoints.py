"""Where spans go, by OTLP's standard variables."""

from collections.abc import Mapping

_VARIABLES = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def spans_are_exported(environ: Mapping[str, str]) -> bool:
    """Whether an endpoint is set."""
    return any(environ.get(name) for name in _VARIABLES)
