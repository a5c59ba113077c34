"""Whatever is reported is counted or refused with a reason; what is refused changes nothing."""

import math
from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from server.control.plane import ControlPlane
from server.routing.decision_id import Kind
from tests.server.control.served import files_in, no_prices
from tests.server.control.told import KEY, NOW_S, decision_id, service
from turnout.v1.routing_pb2 import Feedback, Outcome, Usage

REASONS = {
    "",
    "DECISION_INVALID",
    "DECISION_EXPIRED",
    "QUALITY_INVALID",
    "REQUEST_INVALID",
    "USAGE_DUPLICATE",
    "USAGE_ALREADY_COUNTED",
}

uint32s = st.integers(0, 2**32 - 1)
seconds = st.integers(-(2**63), 2**63 - 1)
nanos = st.integers(-(2**31), 2**31 - 1)
ids = st.one_of(
    st.text(max_size=200),
    st.builds(
        decision_id,
        st.sampled_from(Kind),
        model=st.sampled_from(["small", "gone"]),
        audit_probability=st.sampled_from([0.0, 0.5]),
        now_s=st.sampled_from([0.0, NOW_S, NOW_S + 1e6]),
    ),
)
usages = st.builds(
    Usage,
    input_tokens=uint32s,
    output_tokens=uint32s,
    latency=st.none() | st.builds(Duration, seconds=seconds, nanos=nanos),
    failed=st.booleans(),
)
feedbacks = st.builds(
    Feedback,
    metric=st.sampled_from(["quality", "tone", ""]) | st.text(max_size=80),
    value=st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 1),
    time=st.none() | st.builds(Timestamp, seconds=seconds, nanos=nanos),
)
outcomes = st.builds(
    Outcome,
    decision_id=ids,
    usage=st.none() | usages,
    feedback=st.lists(feedbacks, max_size=10),
)


def plane(folder: Path) -> ControlPlane:
    return ControlPlane(
        service(), KEY, files_in(folder), clock=lambda: NOW_S + 1.0, pricer=no_prices
    )


def counted(plane: ControlPlane) -> str:
    return repr(plane.values())


@given(outcome=outcomes)
def test_every_outcome_is_counted_or_refused_with_a_reason(outcome: Outcome) -> None:
    under_test = plane(Path("/nowhere"))
    before = counted(under_test)
    (result,) = under_test.settle([outcome])
    assert result.reason in REASONS
    if result.reason not in ("", "USAGE_DUPLICATE", "USAGE_ALREADY_COUNTED"):
        assert result.message
        assert counted(under_test) == before


@given(st.lists(outcomes, max_size=20))
def test_whatever_is_reported_the_figures_stay_numbers(reported: list[Outcome]) -> None:
    under_test = plane(Path("/nowhere"))
    under_test.settle(reported)
    for points in under_test.values().values():
        assert all(math.isfinite(value) for _, value in points)
