"""A request that was read, and what makes it one that nobody answers."""

from typing import NamedTuple

from server.routing.catalog import TrafficClass
from server.routing.errors import NoCandidate, PayloadTooLarge
from server.routing.reading.classifier import Reading


class Asked(NamedTuple):
    """A request that was read, and not yet decided."""

    reading: Reading
    unfit: int  # bit m: model m cannot or must not answer it
    demanding: bool  # it asks for capabilities
    text: str
    tenant: str = ""
    forwarded: bool = False  # by Infer, so that only models will do that it can reach
    owner: bytes = b""  # the tag of the caller's tenant; empty: nobody with a name


def hold_size(size_bytes: int, traffic_class: TrafficClass) -> None:
    """Raises PayloadTooLarge for more than its class takes."""
    most = traffic_class.request_bytes_max
    if most is not None and size_bytes > most:
        raise PayloadTooLarge(
            f"{size_bytes:,} bytes: class {traffic_class.name} takes at most {most:,}; "
            "shorten it, or send features instead"
        )


def no_candidate(asked: Asked) -> NoCandidate:
    """Why nobody can answer it."""
    if asked.demanding:
        return NoCandidate(
            "no enabled model takes this payload and can do all that is asked: "
            "ask for less, or see 'turnout models'",
            field="features.capabilities",
        )
    if asked.forwarded:
        return NoCandidate(
            "no enabled model takes this kind of payload at an endpoint that Infer can forward to: "
            "ask Route and call the model yourself, or see 'turnout models'"
        )
    return NoCandidate("no enabled model takes this kind of payload: see 'turnout models'")
