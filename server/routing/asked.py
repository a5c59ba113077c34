"""A request that was read, and not yet decided."""

from typing import NamedTuple

from server.routing.reading.classifier import Reading


class Asked(NamedTuple):
    """What is known of it, and who cannot answer it."""

    reading: Reading
    unfit: int  # bit m: model m cannot or must not answer it
    demanding: bool  # it asks for capabilities
    text: str
    tenant: str = ""
    forwarded: bool = False  # by Infer, so that only models will do that it can reach
