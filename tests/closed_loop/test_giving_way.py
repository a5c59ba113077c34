"""Who is refused while more is asked than fits: real plans at real workers, told by callers."""

from collections import Counter
from pathlib import Path

import pytest

from tests.closed_loop.length import TIMEOUT_S
from tests.closed_loop.scenario import ClassLaw, ModelLaw, Scenario
from tests.closed_loop.service import tell
from tests.closed_loop.story import End

pytestmark = pytest.mark.timeout(TIMEOUT_S)

TENANTS = "t0", "t1"
LASTS_S, SETTLED_S = 60.0, 15.0
# Of tenants that pay for themselves, some hundreds of requests each.
ERROR = 0.06


def test_two_equal_tenants_who_pay_for_themselves_are_refused_alike(tmp_path: Path) -> None:
    scenario = Scenario(
        models=(ModelLaw("m0", request_nano_usd=1, requests_per_s=14.0),),
        classes=(ClassLaw("c0", 20.0, tenants=TENANTS),),
        budgets_usd=dict.fromkeys(TENANTS, 1_000.0),
        lasts_s=LASTS_S,
    )
    story = tell(scenario, tmp_path)
    begun_s = story.requests[0].begun_s
    late = [one for one in story.requests if one.begun_s > begun_s + SETTLED_S]
    asked = Counter(one.tenant for one in late)
    refused = Counter(one.tenant for one in late if one.end is End.REFUSED)
    assert len({one.cell.payer for one in late}) == len(TENANTS)
    parts = [refused[tenant] / asked[tenant] for tenant in TENANTS]
    assert parts == pytest.approx([0.3, 0.3], abs=ERROR)
