"""The number that opens every request between a worker and its control plane."""

from server.routing.errors import InvalidRequest

PROTOCOL = 1


def check_protocol(protocol: int) -> None:
    """Raises unless the other side speaks what this one does; there is no older protocol yet."""
    if protocol != PROTOCOL:
        raise InvalidRequest(
            f"protocol {protocol} where {PROTOCOL} is spoken: run workers and control plane of one "
            "version",
            field="protocol",
        )
