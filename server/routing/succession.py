"""Whom to ask next: where an attempt failed, and where one that is out has had its time.

To be ejected is a suspicion; to have failed and never answered anybody is worse.
"""

from server.routing.conviction import WELL_FOR_S
from server.routing.decision import Decision
from server.routing.endpoints import Target
from server.routing.journey import Journey
from server.routing.router import Router

# Who answers others is about to answer this one too. One that has never answered may have to load
# its model first, or never will.
ALIVE_FOR_S = 1.0


def successor(router: Router, journey: Journey, decision: Decision) -> Target | None:
    """Whom to ask what the last attempt was refused: it is the last chance."""
    another = _next(router, journey, decision)
    if another is None or not router.health.is_suspect(another.key):
        return another
    return _proven(router, journey, decision) or another


def better_bet(
    router: Router, journey: Journey, decision: Decision, *, now_s: float
) -> Target | None:
    """Whom to ask rather than wait for the attempt that is out.

    Nobody who is ejected, unless the one that is out has never answered. Who answered of late is
    not left for one that never did, longer where that has failed.
    """
    health, last = router.health, journey.attempts[-1].target.key
    another = _next(router, journey, decision)
    if another is not None and health.is_ejected(another.key):
        another = None
    if another is not None and health.has_ever_answered(another.key):
        return another
    is_suspect = another is None or health.is_suspect(another.key)
    if not health.has_ever_answered(last):
        return (_proven(router, journey, decision) if is_suspect else None) or another
    well_for_s = WELL_FOR_S if is_suspect else ALIVE_FOR_S
    return None if health.has_answered(last, since_s=now_s - well_for_s) else another


def _next(router: Router, journey: Journey, decision: Decision) -> Target | None:
    grounds = decision.grounds
    return router.next_target(journey.targets, grounds.fallbacks, grounds.cell.kind)


def _proven(router: Router, journey: Journey, decision: Decision) -> Target | None:
    """One that has answered before, though it may be ejected now or was at the decision."""
    grounds = decision.grounds
    fit = [i for i in grounds.traffic_class.greedy if not decision.unfit >> i & 1]
    others = router.not_asked(journey.targets, fit, grounds.cell.kind)
    targets = map(router.target, others)
    return next((one for one in targets if router.health.has_ever_answered(one.key)), None)
