import pytest

from server.routing.errors import InvalidRequest, QualityInvalid
from server.routing.outcomes import (
    ATTEMPTS_MAX,
    FEEDBACK_MAX,
    LATENCY_S_MAX,
    METRIC_CHARS_MAX,
    TOKENS_MAX,
    check_attempts,
    check_end,
    check_feedback,
    check_usage,
)
from server.routing.reported import Reported, Told, Took


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_value_from_0_to_1_is_taken(value: float) -> None:
    check_feedback([("quality", value)])


@pytest.mark.parametrize("value", [-1e-9, 1.5, float("nan"), float("-inf")])
def test_any_other_value_is_refused(value: float) -> None:
    with pytest.raises(QualityInvalid, match=r"from 0 .* to 1"):
        check_feedback([("quality", value)])


def test_as_much_feedback_as_is_taken_is_taken() -> None:
    check_feedback([("quality", 1.0)] * FEEDBACK_MAX)
    with pytest.raises(InvalidRequest, match="at most 8"):
        check_feedback([("quality", 1.0)] * (FEEDBACK_MAX + 1))


@pytest.mark.parametrize("metric", ["", "m" * (METRIC_CHARS_MAX + 1)])
def test_a_metric_needs_a_name_of_some_length(metric: str) -> None:
    with pytest.raises(InvalidRequest, match="1 to 64"):
        check_feedback([(metric, 1.0)])


@pytest.mark.parametrize(
    ("latency_s", "input_tokens", "output_tokens", "field"),
    [
        (-0.001, 0, 0, "usage.latency"),
        (float("inf"), 0, 0, "usage.latency"),
        (LATENCY_S_MAX + 1, 0, 0, "usage.latency"),
        (1.0, TOKENS_MAX + 1, 0, "usage.input_tokens"),
        (1.0, 0, TOKENS_MAX + 1, "usage.output_tokens"),
    ],
)
def test_a_usage_that_no_request_has_is_refused(
    latency_s: float, input_tokens: int, output_tokens: int, field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_usage(Took(latency_s, input_tokens, output_tokens))
    assert refused.value.field == field


def is_model(name: str) -> bool:
    return name in ("small", "large")


def test_as_many_attempts_as_are_taken_are_taken() -> None:
    check_attempts([Told("small", "", None)] * ATTEMPTS_MAX, is_model)
    with pytest.raises(InvalidRequest, match="send the last 8") as refused:
        check_attempts([Told("small", "", None)] * (ATTEMPTS_MAX + 1), is_model)
    assert refused.value.field == "attempts"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Told("smal", "", None), "attempts[1].model"),
        (Told("", "", None), "attempts[1].model"),
        (Told("large", "", Took(-1.0)), "attempts[1].usage.latency"),
        (Told("large", "", Took(0.0, TOKENS_MAX + 1)), "attempts[1].usage.input_tokens"),
        (Told("large", "", Took(0.0, 0, TOKENS_MAX + 1)), "attempts[1].usage.output_tokens"),
    ],
)
def test_an_attempt_that_cannot_have_been_is_refused_by_its_place(wrong: Told, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_attempts([Told("small", "", None), wrong], is_model)
    assert refused.value.field == field


@pytest.mark.parametrize("last_failed", [True, False])
def test_a_request_ends_as_its_last_attempt_did(last_failed: bool) -> None:
    asked = [Told("small", "", None), Told("large", "", Took(failed=last_failed))]
    check_end(Reported(asked, Took(failed=last_failed)))
    with pytest.raises(InvalidRequest, match="the last attempt") as refused:
        check_end(Reported(asked, Took(failed=not last_failed)))
    assert refused.value.field == "usage.failed"


@pytest.mark.parametrize("failed", [True, False])
def test_a_last_attempt_of_which_nothing_is_said_ended_as_the_request_did(failed: bool) -> None:
    check_end(Reported([Told("small", "", None)], Took(failed=failed)))


def test_the_largest_usage_is_taken() -> None:
    check_usage(Took(LATENCY_S_MAX, TOKENS_MAX, TOKENS_MAX))
