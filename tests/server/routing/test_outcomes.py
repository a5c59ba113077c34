import pytest

from server.routing.errors import InvalidRequest, QualityInvalid
from server.routing.outcomes import FEEDBACK_MAX, METRIC_CHARS_MAX, check_outcome


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_value_from_0_to_1_is_taken(value: float) -> None:
    check_outcome([("quality", value)], 0.02)


@pytest.mark.parametrize("value", [-1e-9, 1.5, float("nan"), float("-inf")])
def test_any_other_value_is_refused(value: float) -> None:
    with pytest.raises(QualityInvalid, match=r"from 0 .* to 1"):
        check_outcome([("quality", value)], None)


def test_as_much_feedback_as_is_taken_is_taken() -> None:
    check_outcome([("quality", 1.0)] * FEEDBACK_MAX, None)
    with pytest.raises(InvalidRequest, match="at most 8"):
        check_outcome([("quality", 1.0)] * (FEEDBACK_MAX + 1), None)


@pytest.mark.parametrize("metric", ["", "m" * (METRIC_CHARS_MAX + 1)])
def test_a_metric_needs_a_name_of_some_length(metric: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 64"):
        check_outcome([(metric, 1.0)], None)


def test_a_negative_latency_is_refused() -> None:
    check_outcome([], 0.0)
    with pytest.raises(InvalidRequest, match="latency"):
        check_outcome([], -0.001)
