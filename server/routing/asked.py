"""A request that was read, and what makes it one that nobody answers."""

from typing import NamedTuple

from server.routing.catalog import TrafficClass
from server.routing.errors import ModelsBusy, NoCandidate, PayloadTooLarge
from server.routing.health import HealthTracker
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


def nobody(asked: Asked, health: HealthTracker, *, now_s: float) -> NoCandidate | ModelsBusy:
    """Why nobody can answer it, now or at all."""
    if asked.forwarded and health.resting & ~asked.unfit:
        left_s = health.rest_left_s(~asked.unfit, now_s=now_s)
        return ModelsBusy(
            f"every model that could answer asked to be left alone for {left_s:.3g} s more",
            retry_after_s=left_s,
        )
    return _no_candidate(asked)


def _no_candidate(asked: Asked) -> NoCandidate:
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
