import pytest

from server.cli.mix import ModelMix, mixes
from turnout.v1 import admin_pb2 as pb
from turnout.v1 import routing_pb2


def _cell(traffic_class: str, rate: float, *shares: pb.PlanShare) -> pb.PlanCell:
    cell = routing_pb2.Cell(traffic_class=traffic_class)
    return pb.PlanCell(cell=cell, requests_per_s=rate, shares=shares)


def _share(model: str, share: float, cost: int = 0, accuracy: float = 0.0) -> pb.PlanShare:
    return pb.PlanShare(model=model, share=share, cost_nano_usd=cost, accuracy=accuracy)


def test_cells_of_a_class_count_by_their_requests() -> None:
    cells = [
        _cell("a", 3, _share("small", 1, cost=10, accuracy=0.8)),
        _cell("a", 1, _share("small", 0.5, cost=30, accuracy=0.4), _share("large", 0.5, cost=100)),
    ]
    small, large = mixes(cells)["a"]
    assert (small.model, large.model) == ("small", "large")
    assert small.share == pytest.approx(0.875)
    assert small.cost_nano_usd == pytest.approx((3 * 10 + 0.5 * 30) / 3.5)
    assert small.accuracy == pytest.approx((3 * 0.8 + 0.5 * 0.4) / 3.5)
    assert large.share == pytest.approx(0.125)


def test_cells_that_nobody_asks_for_count_alike() -> None:
    cells = [_cell("a", 0, _share("small", 1)), _cell("a", 0, _share("large", 1))]
    assert [mix.share for mix in mixes(cells)["a"]] == [0.5, 0.5]


def test_the_largest_share_comes_first_and_classes_stay_apart() -> None:
    cells = [
        _cell("b", 1, _share("small", 0.2), _share("large", 0.8)),
        _cell("a", 1, _share("small", 1)),
    ]
    found = mixes(cells)
    assert list(found) == ["b", "a"]
    assert [mix.model for mix in found["b"]] == ["large", "small"]


def test_a_share_of_nothing_divides_nothing() -> None:
    assert mixes([_cell("a", 1, _share("small", 0))])["a"] == [ModelMix("small")]
