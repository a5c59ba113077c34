"""Who can be answered, by what is configured and what is ejected."""

from dataclasses import dataclass

from server.routing.catalog import Catalog, bits


@dataclass(frozen=True, slots=True)
class Readiness:
    """Of one worker, at one moment.

    That a request is routed to an ejected model where no other is left does not make it ready.
    """

    kinds: frozenset[str]  # of payload, for which a candidate is left
    forwarded: frozenset[str]  # of these, those that Infer has one for
    classes: frozenset[str]  # of the configuration, whether ready or not
    models: frozenset[str]  # those with an endpoint that is not ejected, or without endpoints


NOBODY = Readiness(frozenset(), frozenset(), frozenset(), frozenset())


def readiness(catalog: Catalog, down: int) -> Readiness:
    """`down`, bit m: every endpoint of model m is ejected."""
    left = bits(i for i, m in enumerate(catalog.models) if m.enabled) & ~down
    return Readiness(
        kinds=_taken(catalog, left),
        forwarded=_taken(catalog, left & ~catalog.not_forwarded),
        classes=frozenset(catalog.classes),
        models=frozenset(m.name for i, m in enumerate(catalog.models) if left >> i & 1),
    )


def _taken(catalog: Catalog, left: int) -> frozenset[str]:
    """The kinds of payload that one of these models takes."""
    return frozenset(kind for kind, unfit in catalog.unfit.items() if left & ~unfit)
