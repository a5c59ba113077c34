"""Results of a batch are what protobuf would have written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.routing.batch import Decided
from server.routing.errors import InvalidRequest
from server.rpc.batch_results import FRAMES_MAX, REFUSALS_MAX, BatchResults
from turnout.v1 import routing_pb2 as pb

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)
RESULTS = BatchResults()


@given(st.integers(0, 10_000), ids, st.booleans(), st.just("") | ids)
def test_a_decided_result_says_what_was_decided(
    route: int, decision_id: str, audited: bool, request_id: str
) -> None:
    pieces = RESULTS.decided(route, Decided(0, decision_id, audited), request_id)
    assert pb.RouteBatchResponse.FromString(b"".join(pieces)).results == [
        pb.BatchResult(
            route=route, decision_id=decision_id, report_wanted=audited, request_id=request_id
        )
    ]


@pytest.mark.parametrize("length", [1, 2, 99, 100, 101, 127, 128, 256])
def test_ids_of_any_length_are_framed_whatever_stands_beside_them(length: int) -> None:
    # 100 is the letter that a frame is made with.
    for request_id in ("", "r" * length, "d" * 100):
        pieces = BatchResults().decided(100, Decided(0, "d" * length, False), request_id)
        (result,) = pb.RouteBatchResponse.FromString(b"".join(pieces)).results
        assert (result.route, result.decision_id) == (100, "d" * length)
        assert (result.report_wanted, result.request_id) == (False, request_id)


def test_equal_routes_stand_in_a_response_once() -> None:
    results, first, second = BatchResults(), pb.BatchRoute(plan_id="1"), pb.BatchRoute(plan_id="2")
    given = [results.route(route) for route in (first, second, first)]
    assert [place for place, _ in given] == [0, 1, 0]
    joined = b"".join(data for _, data in given)
    assert pb.RouteBatchResponse.FromString(joined).routes == [first, second]


def test_more_frames_and_refusals_than_are_kept_are_right_too() -> None:
    results = BatchResults()
    for route in (*range(FRAMES_MAX + 1), 0):
        pieces = results.decided(route, Decided(0, "id", False), "")
        assert pb.RouteBatchResponse.FromString(b"".join(pieces)).results[0].route == route
    for number in (*range(REFUSALS_MAX + 1), 0):
        data = results.refused(InvalidRequest(f"no {number}", field="f"))
        refusal = pb.RouteBatchResponse.FromString(data).results[0].refusal
        assert refusal.message == f"no {number}"
